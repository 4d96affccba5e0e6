"""Runs one command in the background for as long as somebody holds a lock on a file, then kills it.

    python guard.py FOLDER COMMAND...

Users hold a shared `flock` on FOLDER/users; the kernel takes it from them however they end, SIGKILL included,
so a crashed test run leaves no broker behind, and no reference count can be wrong. The guard itself holds
FOLDER/running while the command runs. FOLDER/pid is the command's, FOLDER/log its output; FOLDER/data is
removed with the last user. This file runs as a script and imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path


def die_with_parent() -> None:
    """On Linux the command also ends if this guard is killed."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def main() -> None:
    folder = Path(sys.argv[1])
    running = (folder / "running").open("ab")
    fcntl.flock(running, fcntl.LOCK_EX)
    # The lock passes to the background process; whoever started us has nothing to wait for.
    if os.fork():
        os._exit(0)
    with (folder / "log").open("ab") as output:
        child = subprocess.Popen(
            sys.argv[2:], stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=die_with_parent
        )
    draft = folder / "pid.draft"
    draft.write_text(str(child.pid))
    draft.replace(folder / "pid")
    users = (folder / "users").open("ab")
    unused = threading.Event()

    def kill_when_unused() -> None:
        fcntl.flock(users, fcntl.LOCK_EX)
        unused.set()
        child.kill()

    threading.Thread(target=kill_when_unused, daemon=True).start()
    child.wait()
    (folder / "pid").unlink()
    if unused.is_set():
        shutil.rmtree(folder / "data", ignore_errors=True)
    # Without waiting for the thread, which is inside flock.
    os._exit(0)


if __name__ == "__main__":
    main()
