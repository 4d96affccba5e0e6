#!/opt/wire/bin/python
"""secantusdb's server with the options of `mongod` that docker-compose.yml gives. For trying the stack, nothing else."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from types import FrameType

from secantus.server import SecantusDBServer

NAME = "mongo"
"""What clients are told to connect to: the service's name in docker-compose.yml."""


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="mongod", allow_abbrev=False)
    parser.add_argument("--replSet", required=True)
    parser.add_argument("--dbpath", required=True)
    parser.add_argument("--bind_ip_all", action="store_true")
    parser.add_argument("--setParameter", action="append", default=[])
    options = parser.parse_args()
    given = dict(each.split("=", 1) for each in options.setParameter)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    server = SecantusDBServer(
        host=NAME,
        port=27017,
        storage_path=options.dbpath,
        replica_set_name=options.replSet,
        enable_test_commands=False,
        cache_size="256M",
        sync_on_commit=True,
        transaction_lifetime_seconds=float(given["transactionLifetimeLimitSeconds"]),
    )

    def end(_number: int, _frame: FrameType | None) -> None:
        server.stop()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    server.start()
    server.wait()


if __name__ == "__main__":
    main()
