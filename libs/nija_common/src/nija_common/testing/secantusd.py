"""Runs secantusdb's server as production has to run MongoDB, which its own command has no options for.

    python secantusd.py PORT FOLDER

A process that dies leaves its transaction to the server: `transactionLifetimeLimitSeconds` says how long its
documents stay locked then. The default, 60 s, is far longer than a lease. And without a sync at each commit the
server loses acknowledged writes when it is killed, which `j: true` forbids.
"""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType

from secantus.server import SecantusDBServer

LIFETIME_S = 3.0


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    server = SecantusDBServer(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        storage_path=sys.argv[2],
        replica_set_name="secantus",
        cache_size="128M",
        sync_on_commit=True,
        transaction_lifetime_seconds=LIFETIME_S,
    )

    def end(_number: int, _frame: FrameType | None) -> None:
        server.stop()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    server.start()
    server.wait()


if __name__ == "__main__":
    main()
