#!/bin/sh
# Makes every image that the stack needs, pulling none: see README.md beside this. Stand-ins that are there already are kept.
set -eu
cd "$(dirname "$0")/../../.."
here=deploy/compose/here
base=nija-here/base:1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '%s\n' "$*" >&2; }
missing() { ! docker image inspect "$1" >/dev/null 2>&1; }

# Context folder, Dockerfile's name here, image, more arguments. Builds use this machine's network and name servers.
build() {
    context=$1 name=$2 image=$3
    shift 3
    say "$image"
    docker build --quiet --network host --build-arg BASE_IMAGE=$base -f "$here/$name.Dockerfile" -t "$image" "$@" "$context" >/dev/null
}

if missing $base; then
    say "$base"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$work/root" >"$work/log" 2>&1 ||
        { cat "$work/log" >&2; exit 1; }
    # Whom this machine trusts, the base trusts: behind a proxy that re-signs traffic only these certificates will do.
    certificates=/etc/ssl/certs/ca-certificates.crt
    cp "$certificates" "$work/root$certificates"
    tar -C "$work/root" --exclude=./var/lib/apt/lists --exclude=./var/cache/apt/archives -c . |
        docker import --change "ENV SSL_CERT_FILE=$certificates PIP_CERT=$certificates" - $base >/dev/null
fi

if missing nija-here/kafka:1; then
    mkdir -p "$work/kafka/bin"
    cp -r "$(.venv/bin/python -c 'from nija_common.testing.kafka import jars; print(jars())')" "$work/kafka/libs"
    for name in kafka-storage.sh kafka-server-start.sh; do
        install -m 755 $here/kafka-run.sh "$work/kafka/bin/$name"
    done
    build "$work/kafka" kafka nija-here/kafka:1
fi

if missing nija-here/mongo:1; then
    mkdir "$work/mongo"
    install -m 755 $here/mongod.py $here/mongosh.py "$work/mongo/"
    # The versions that the tests use.
    wanted=$(.venv/bin/python -c 'from importlib.metadata import version as v; print(*(f"{p}=={v(p)}" for p in ("secantusdb", "pymongo")))')
    build "$work/mongo" mongo nija-here/mongo:1 --build-arg "REQUIREMENTS=$wanted"
fi

missing nija-here/prometheus:1 && build $here prometheus nija-here/prometheus:1

say "nija-platform, nija-embedded"
make --no-print-directory images BASE_IMAGE=$base DOCKER_ARGS="--quiet --network host" >/dev/null
