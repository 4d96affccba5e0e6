"""Stripe's own mock server for tests: it answers every call of Stripe's API by its description, and keeps nothing.

Where it comes from, in this order: `NIJA_TEST_STRIPE` (the address of one that runs already), a binary that Go builds
(`go install`, kept in `.tools/stripe-mock`). `python -m nija_common.testing.stripe_mock` builds it ahead of the tests.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from nija_common.testing.kafka import REPOSITORY, in_ci
from nija_common.testing.processes import Server, Unavailable, accepts, free_ports

VERSION = "v0.203.0"
MODULE = "github.com/stripe/stripe-mock"


def launch(folder: Path, port: int | None = None) -> Server:
    """A server in `folder`, not yet started. Raises `Unavailable`."""
    chosen = port or free_ports(1)[0]
    return Server(folder, chosen, [str(binary()), "-http-port", str(chosen)], _is_ready)


def _is_ready(server: Server) -> bool:
    return accepts(server.port)


def given() -> str | None:
    """The address of a mock that the caller of the tests provides."""
    return os.environ.get("NIJA_TEST_STRIPE") or None


@functools.cache
def binary() -> Path:
    """The program, built by Go if it is not there yet. Raises `Unavailable`."""
    folder = REPOSITORY / ".tools/stripe-mock" / VERSION
    program = folder / "stripe-mock"
    if program.exists():
        return program
    if shutil.which("go") is None:
        raise Unavailable("no go on PATH (and no NIJA_TEST_STRIPE)")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _build(folder)
    return program


def _build(folder: Path) -> None:
    draft = folder / "draft"
    command = ["go", "install", f"{MODULE}@{VERSION}"]
    environment = {**os.environ, "GOBIN": str(draft), "GOFLAGS": "-mod=mod"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=environment)
    if done.returncode != 0:
        raise Unavailable(f"Go could not build {MODULE}: {(done.stdout + done.stderr)[-2000:]}")
    (draft / "stripe-mock").replace(folder / "stripe-mock")
    draft.rmdir()


def main() -> int:
    """Makes ready what the tests will need, and says where their Stripe comes from."""
    address = given()
    if address:
        print(f"Stripe for the tests: {address}")  # noqa: T201 - a command's answer
        return 0
    try:
        print(f"Stripe for the tests: {binary()}")  # noqa: T201
    except Unavailable as reason:
        print(f"NO Stripe for the tests, those that need it are SKIPPED: {reason}", file=sys.stderr)  # noqa: T201
        return 1 if in_ci() else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
