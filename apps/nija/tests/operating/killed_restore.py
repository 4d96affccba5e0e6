"""Run by `test_backup.py`: `nija restore` over a platform, killed with SIGKILL just before its n-th change of a name.

    python killed_restore.py BACKUP FOLDER EVERY

For n = 1, 1 + EVERY, ... a forked child restores into FOLDER/<n>, a copy of FOLDER/old. Ends when one has come to its end
alive, and prints its n.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

from nija_cli.operating.restore import restore

CHANGES = ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir")


def child(backup: Path, folder: Path, kill_at: int) -> None:
    changes = 0

    def count(event: str, _: object) -> None:
        nonlocal changes
        if event in CHANGES:
            changes += 1
            if changes == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    asyncio.run(restore(backup, folder, force=True, halt=False))


def main() -> None:
    backup, folder, every = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    n = 1
    while True:
        target = folder / str(n)
        shutil.copytree(folder / "old", target)
        pid = os.fork()
        if pid == 0:
            child(backup, target, n)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            print(n)
            sys.exit(os.waitstatus_to_exitcode(status))
        n += every


if __name__ == "__main__":
    main()
