"""MongoDB's wire for tests: a replica set of one node.

`NIJA_TEST_MONGO` (the URL of a replica set that runs already), else the server of the package `secantusdb`,
with transactions and change streams (`secantusd.py`). It shows what is correct, not what is fast.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from nija_common.testing.processes import Server, Unavailable, accepts, free_ports

REPLICA_SET = "secantus"
PROGRAM = Path(__file__).with_name("secantusd.py")


def launch(folder: Path, port: int | None = None) -> Server:
    """A server in `folder`, not yet started. Raises `Unavailable`."""
    port = port or free_ports(1)[0]
    if importlib.util.find_spec("secantus") is None:
        raise Unavailable("the package secantusdb is not installed: `make setup` does it")
    return Server(folder, port, [sys.executable, str(PROGRAM), str(port), str(folder / "data")], _is_ready)


def url_of(port: int) -> str:
    """The URL that a service is given.

    Polled monitoring: the driver leaves a socket open when it is closed while it still connects its second
    monitor, and whatever test runs when that is collected would fail for it.
    """
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}&serverMonitoringMode=poll"


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
