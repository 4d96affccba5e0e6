#!/bin/sh
# Makes .venv hold what the lock file names, starting from nothing but Python >= 3.11.
#
#   scripts/bootstrap.sh run    what the platform needs; leaves a developer's extra packages alone
#   scripts/bootstrap.sh dev    that, and what tests and checks need; where Node is, what the TypeScript SDK is built with
#
# When nothing has changed since the last time it only compares a checksum.
# uv comes from PATH, else from the package index into .tools/uv.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
fail() { say "bootstrap: $*"; exit 1; }

kind=${1:-}
case $kind in
    run) proof=.venv/bin/nija ;;
    dev) proof=.venv/bin/pytest ;;
    *) say "usage: scripts/bootstrap.sh run|dev"; exit 2 ;;
esac

modern() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.11 python3.12 python3.13 python3.14 python; do
        if modern "$candidate"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    fail "found no Python >= 3.11. Install one, or name it: make ... PYTHON=/path/to/python3"
}

# Versions before this one do not read the format of uv.lock.
recent_uv() { "$1" --version 2>/dev/null | awk '{split($2, v, "."); exit !(v[1] > 0 || v[2] >= 8)}'; }

find_uv() {
    for candidate in uv .tools/uv/bin/uv; do
        if command -v "$candidate" >/dev/null 2>&1 && recent_uv "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    say "bootstrap: installing uv into .tools/uv"
    rm -rf .tools/uv
    mkdir -p .tools
    if "$python" -m venv .tools/uv >.tools/uv.log 2>&1; then
        .tools/uv/bin/python -m pip install --quiet --disable-pip-version-check uv >>.tools/uv.log 2>&1 ||
            { cat .tools/uv.log >&2; fail "pip could not install uv (see above)"; }
    else
        # Debian ships Python without ensurepip; where pip itself is there, a folder does as well as a venv.
        rm -rf .tools/uv
        "$python" -m pip install --quiet --disable-pip-version-check --target .tools/uv uv >>.tools/uv.log 2>&1 || {
            cat .tools/uv.log >&2
            fail "$python has neither a working venv module nor pip. Install one of them (on Debian and Ubuntu:" \
                "apt-get install python3-venv), or put uv on PATH, and call this again."
        }
    fi
    echo .tools/uv/bin/uv
}

checksum=$(cat uv.lock pyproject.toml libs/*/pyproject.toml services/*/pyproject.toml apps/*/pyproject.toml sdks/*/pyproject.toml | cksum | tr ' ' '-')
stamp=.venv/.bootstrap-$kind

if [ "$(cat "$stamp" 2>/dev/null || true)" != "$checksum" ] || ! modern .venv/bin/python || [ ! -x "$proof" ]; then
    python=$(find_python)
    uv=$(find_uv)
    # Never another Python than the one found: the registries may be all that this machine can reach.
    UV_PYTHON_DOWNLOADS=never
    # Machines that set PYTHONDONTWRITEBYTECODE would otherwise compile every library again at every start.
    UV_COMPILE_BYTECODE=1
    UV_PROJECT_ENVIRONMENT=.venv
    export UV_PYTHON_DOWNLOADS UV_COMPILE_BYTECODE UV_PROJECT_ENVIRONMENT
    unset VIRTUAL_ENV || true
    if ! modern .venv/bin/python; then
        rm -rf .venv
        "$uv" venv --quiet --python "$python" .venv
    fi
    say "bootstrap: installing packages into .venv"
    mkdir -p .tools
    # --inexact: `make run` must not take a developer's test tools away, and hands of others may have added some.
    options="--quiet --python .venv/bin/python --all-packages --locked --inexact"
    [ "$kind" = dev ] || options="$options --no-dev"
    # uv brings certificates of its own; behind a proxy that re-signs traffic only the system's will do.
    # shellcheck disable=SC2086
    "$uv" sync $options 2>.tools/sync.log || UV_NATIVE_TLS=1 UV_SYSTEM_CERTS=1 "$uv" sync $options || {
        cat .tools/sync.log >&2
        fail "the packages could not be installed (see above)"
    }
    [ "$kind" = run ] || echo "$checksum" >.venv/.bootstrap-run
    echo "$checksum" >"$stamp"
fi

# Node is only for the TypeScript SDK's build and tests, which say so where it is missing.
node_checksum=$(cat sdks/typescript/package-lock.json | cksum | tr ' ' '-')
node_stamp=sdks/typescript/node_modules/.bootstrap
if [ "$kind" = dev ] && command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 &&
    [ "$(cat "$node_stamp" 2>/dev/null || true)" != "$node_checksum" ]; then
    say "bootstrap: installing packages into sdks/typescript/node_modules"
    mkdir -p .tools
    if (cd sdks/typescript && npm ci) >.tools/npm.log 2>&1; then
        echo "$node_checksum" >"$node_stamp"
    else
        cat .tools/npm.log >&2
        say "bootstrap: npm ci failed (see above); the TypeScript SDK's tests will be skipped"
    fi
fi

# The project's own packages are installed as links to their folders, which uv does not compile.
if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then
    .venv/bin/python -m compileall -q libs/*/src services/*/src apps/*/src sdks/*/src
fi
