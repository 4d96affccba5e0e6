"""Starts the `nija` command as forks of a process that has imported it (`zygote.py`), one such process a test run.

With `NIJA_TEST_FORKS=0` the command is started anew each time.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

ZYGOTE = Path(__file__).with_name("zygote.py")
COMMAND = "nija_cli.main:main"
PRELOAD = (
    "nija_cli.audit",
    "nija_cli.maintenance",
    "nija_cli.parked",
    "nija_cli.rotation",
    "nija_cli.serve",
    "nija_cli.up",
    "nija_common.bus.kafka",
    "nija_common.bus.sqlite",
    "nija_common.storage.mongo",
    "nija_common.storage.sqlite",
    "uvicorn",
    "uvloop",
)
"""What the command imports when it runs."""


class Fork:
    """A child of the zygote, used like a `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, negative for a signal. Raises subprocess.TimeoutExpired."""
        if not self.ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"nija (pid {self.pid})", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class Zygote:
    """The process that forks. Threads of one test run share it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        arguments = [sys.executable, str(ZYGOTE), str(theirs.fileno()), COMMAND, ",".join(PRELOAD)]
        self._process = subprocess.Popen(
            arguments, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        theirs.close()
        self._asking = threading.Lock()
        self._changed = threading.Condition()
        self._started: list[Fork] = []
        self._forks: dict[int, Fork] = {}
        self._over = False
        threading.Thread(target=self._listen, name="zygote", daemon=True).start()

    def fork(self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path, fds: tuple[int, int, int]) -> Fork:
        """Runs `nija` with these arguments; `fds` become its standard streams and stay the caller's to close."""
        request = {"argv": ["nija", *arguments], "env": dict(env), "cwd": str(cwd)}
        with self._asking:
            socket.send_fds(self._socket, [json.dumps(request).encode() + b"\n"], list(fds))
            with self._changed:
                self._changed.wait_for(lambda: self._started or self._over)
                if not self._started:
                    raise AssertionError("the process that starts `nija` for tests has ended; see its errors above")
                return self._started.pop()

    def _listen(self) -> None:
        with self._socket.makefile("r") as lines:
            for line in lines:
                word, pid, *rest = json.loads(line)
                with self._changed:
                    if word == "started":
                        self._forks[pid] = Fork(pid)
                        self._started.append(self._forks[pid])
                    else:
                        fork = self._forks.pop(pid)
                        fork.returncode = rest[0]
                        fork.ended.set()
                    self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()


@cache
def zygote() -> Zygote | None:
    """This test run's, started when first asked for; None where commands are to be started anew."""
    return None if os.environ.get("NIJA_TEST_FORKS") == "0" else Zygote()
