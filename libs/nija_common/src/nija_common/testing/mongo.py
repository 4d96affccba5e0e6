"""MongoDB's wire for tests: a replica set of one node.

`NIJA_TEST_MONGO` (the URL of a replica set that runs already), else `secantusd-py`, a server from the package
`secantusdb` with transactions and change streams. It shows what is correct, not what is fast.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from nija_common.testing.processes import Server, Unavailable, accepts, free_ports

REPLICA_SET = "secantus"


def launch(folder: Path, port: int | None = None) -> Server:
    """A server in `folder`, not yet started. Raises `Unavailable`."""
    port = port or free_ports(1)[0]
    # Beside this interpreter first: a test run does not need its venv on PATH.
    program = shutil.which("secantusd-py", path=str(Path(sys.executable).parent)) or shutil.which("secantusd-py")
    if program is None:
        raise Unavailable("no secantusd-py beside the interpreter or on PATH: `make setup` installs it")
    command = [program, "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder / "data")]
    # Without a sync at each commit it loses acknowledged writes when it is killed, which `j: true` forbids.
    options = ["--sync-on-commit", "--cache-size", "128M", "--log-level", "WARNING"]
    return Server(folder, port, [*command, *options], _is_ready)


def url_of(port: int) -> str:
    """The URL that a service is given."""
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"


def given() -> str | None:
    """The URL of a replica set that the caller of the tests provides."""
    return os.environ.get("NIJA_TEST_MONGO") or None


def _is_ready(server: Server) -> bool:
    if not accepts(server.port):
        return False
    with MongoClient[dict[str, object]](url_of(server.port), serverSelectionTimeoutMS=1000) as client:
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
    return True
