"""Servers that tests start as processes: ready when they say so, gone when their last user is gone.

`Server` is one such process with a folder of its own (log, pid, data). `shared` gives one server to every
pytest worker of a run. Brokers and databases differ only in command and readiness: see `kafka.py`, `mongo.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol, Self

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
GUARD = Path(__file__).with_name("guard.py")


class Unavailable(Exception):
    """The server cannot be had on this machine; the text says what is missing."""


class DidNotStart(Exception):
    """The server ended, or did not become ready in time; the text ends with its log."""


class BeingEnded(Exception):
    """The folder's server is just being ended because its last user has gone: try again."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def accepts(port: int) -> bool:
    """Whether something listens on the port of this machine."""
    with socket.socket() as one:
        one.settimeout(1.0)
        return one.connect_ex(("127.0.0.1", port)) == 0


def processor_seconds(*pids: int) -> float:
    """What these processes have used so far, of their own and of the system's time. OSError where there is no `/proc`."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Looks every 20 ms; False if the condition did not come true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def locked(path: Path) -> bool:
    """Whether any process holds the file's lock."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


class Server:
    """One process on a fixed port. Stopped or killed and started again it keeps port and data.

    It runs under `guard.py`: when this object's process ends, in whatever way, the server ends too.
    """

    def __init__(self, folder: Path, port: int, command: list[str], ready: Callable[[Server], bool]) -> None:
        self.folder = folder
        self.port = port
        self._command = command
        self._ready = ready
        self._users: IO[bytes] | None = None
        self._log_begins = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def log(self) -> str:
        """What the server has written since its latest start."""
        path = self.folder / "log"
        return path.read_bytes()[self._log_begins :].decode(errors="replace") if path.exists() else ""

    @property
    def running(self) -> bool:
        return locked(self.folder / "running")

    def start(self) -> None:
        """Returns when the server is ready. Raises `DidNotStart`."""
        self.hold()
        log = self.folder / "log"
        self._log_begins = log.stat().st_size if log.exists() else 0
        subprocess.run(
            [sys.executable, "-I", "-S", str(GUARD), str(self.folder), *self._command],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Out of reach of Ctrl-C, but in this session: the kernel gives each session of a busy machine its turn as a
            # whole, and a broker that waits a minute for its own is no broker.
            process_group=0,
            check=True,
        )
        wait_until(lambda: not self.running or self._ready(self), START_TIMEOUT_S)
        if not (self.running and self._ready(self)):
            self.end()
            raise DidNotStart(f"{self._command[0]} did not become ready on port {self.port}\n{self.log[-3000:]}")

    def hold(self) -> None:
        """Becomes one of the server's users. Raises `BeingEnded` while it is being ended."""
        if self._users is not None:
            return
        users = (self.folder / "users").open("ab")
        try:
            fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            users.close()
            raise BeingEnded(str(self.folder)) from None
        self._users = users

    def release(self) -> None:
        """Is no longer a user; the server ends, and its data goes, when nobody is."""
        if self._users is not None:
            self._users.close()
            self._users = None

    def end(self) -> None:
        """For good, running or not. For a server that nobody shares."""
        self.release()
        self._wait_until_gone()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the server itself."""
        os.kill(int((self.folder / "pid").read_text()), number)

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        self._wait_until_gone()

    def stop(self) -> None:
        """SIGTERM, and waits until it is gone."""
        self.signal(signal.SIGTERM)
        self._wait_until_gone()

    def freeze(self) -> None:
        """SIGSTOP: the port stays open, nothing answers, from the moment that this returns."""
        self.signal(signal.SIGSTOP)
        state = Path("/proc", (self.folder / "pid").read_text().strip(), "stat")
        if state.exists():
            # The signal is delivered when the process is next scheduled; until then it may answer.
            wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] in "TtZ", STOP_TIMEOUT_S)

    def thaw(self) -> None:
        """SIGCONT, after `freeze`."""
        self.signal(signal.SIGCONT)

    def _wait_until_gone(self) -> None:
        if not wait_until(lambda: not self.running, STOP_TIMEOUT_S):
            raise TimeoutError(f"{self._command[0]} on port {self.port} has not ended")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Launch(Protocol):
    """Makes a server in a folder, on the given port or a free one; does not start it."""

    def __call__(self, folder: Path, port: int | None = None) -> Server: ...


def started(launch: Launch, folder: Path) -> Server:
    """A running server on a free port. Another port is tried if somebody was quicker to take it."""
    attempt = 1
    while True:
        server = launch(folder / str(attempt))
        try:
            server.start()
        except DidNotStart:
            if attempt == 3 or not accepts(server.port):
                raise
            attempt += 1
        else:
            return server


@contextlib.contextmanager
def shared(launch: Launch, folder: Path) -> Iterator[int]:
    """The port of a server that all processes with this folder use together.

    The first starts it; it ends when the last has left, in whatever way.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with (folder / "start").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                server = _join(launch, folder)
            break
        except BeingEnded:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    try:
        yield server.port
    finally:
        server.release()


def _join(launch: Launch, folder: Path) -> Server:
    where = folder / "where.json"
    if where.exists():
        known = json.loads(where.read_text())
        server = launch(Path(known["folder"]), known["port"])
        server.hold()
        if server.running:
            return server
        server.release()
    server = started(launch, folder / f"run-{time.time_ns()}")
    where.write_text(json.dumps({"folder": str(server.folder), "port": server.port}))
    return server
