#!/bin/sh
# Prints the path of promtool, which checks and tests the Prometheus rules. Takes the one on PATH, else the one in
# .tools/prometheus, else fetches it there: from Debian's package (unpacked, nothing installed), else built by Go.
#
#   scripts/promtool.sh [--offline]      offline: only what is here already
#
# Ends with 1 where it cannot be had, and says so.
set -eu
cd "$(dirname "$0")/.."

GO_VERSION=v0.42.0 # Prometheus 2.42, as Debian has it

say() { printf '%s\n' "$*" >&2; }

folder=.tools/prometheus
found=$(command -v promtool || true)
for candidate in "$found" "$PWD/$folder/usr/bin/promtool" "$PWD/$folder/bin/promtool"; do
    if [ -n "$candidate" ] && "$candidate" --version >/dev/null 2>&1; then
        echo "$candidate"
        exit 0
    fi
done
[ "${1:-}" != --offline ] || exit 1

# One at a time: several tests may ask at once.
mkdir -p "$folder"
if command -v flock >/dev/null 2>&1 && [ -z "${PROMTOOL_LOCKED:-}" ]; then
    PROMTOOL_LOCKED=1 exec flock "$folder/lock" "$0" "$@"
fi

if command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1; then
    say "promtool: unpacking Debian's package prometheus into $folder"
    if (cd "$folder" && apt-get download prometheus) >"$folder/log" 2>&1; then
        dpkg --fsys-tarfile "$folder"/prometheus_*.deb | tar -x -C "$folder" ./usr/bin/promtool
        rm -f "$folder"/prometheus_*.deb
        echo "$PWD/$folder/usr/bin/promtool"
        exit 0
    fi
fi
if command -v go >/dev/null 2>&1; then
    say "promtool: building it with Go into $folder"
    if GOBIN="$PWD/$folder/bin" go install "github.com/prometheus/prometheus/cmd/promtool@$GO_VERSION" >>"$folder/log" 2>&1; then
        echo "$PWD/$folder/bin/promtool"
        exit 0
    fi
fi
say "promtool: not on PATH, and neither Debian's package nor Go could bring it (see $folder/log)"
exit 1
