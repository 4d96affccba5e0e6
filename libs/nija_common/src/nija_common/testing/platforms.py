"""The whole platform as an operator starts it: `nija up`, or every service in a process of its own.

Both look the same to a test: a URL. Processes log into the test's folder; their output is read to its end.
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self, TypeVar

from nija_common.testing.forks import Fork, Zygote, zygote
from nija_common.testing.processes import accepts

T = TypeVar("T")

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
STARTS_AT_ONCE = 3

SERVED = ("auth", "billing", "accounts", "trading-engine", "trading-worker", "analytics", "notifier", "gateway")

ROOMY_LIMITS = {
    "NIJA_LIMITS__REGISTER_PER_HOUR": "100000",
    "NIJA_LIMITS__REGISTER_TRIES_PER_MINUTE": "100000",
    "NIJA_LIMITS__LOGIN_PER_MINUTE": "100000",
    "NIJA_LIMITS__OPEN_PER_MINUTE": "100000",
}
"""Limits by address would count every user of a test as one."""


class NijaProcess:
    """One `nija` command that runs until it is told to stop."""

    def __init__(
        self, arguments: Sequence[str], *, env: Mapping[str, str], folder: Path, name: str, forked: bool = True
    ) -> None:
        """`forked`: from the process that has imported the command; else the installed command itself."""
        self.name = name
        self._zygote = zygote() if forked else None
        self._arguments = list(arguments)
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("NIJA_")} | dict(env)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | Fork | None = None
        self._said: list[str] = []
        self._ready = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def log(self) -> Path:
        return self._folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        """What it has written to standard output."""
        return "".join(self._said)

    def start(self) -> Self:
        """Starts the process; `wait_ready` waits for it."""
        # Of this start alone: the reader of a process that was killed may still be at its end.
        self._ready, self._said = threading.Event(), []
        said, to_us = os.pipe()
        with self.log.open("ab") as log, Path(os.devnull).open("rb") as nothing, os.fdopen(to_us, "wb") as out:
            self._process = _start(self._zygote, self._arguments, self._env, self._folder, (nothing, out, log))
        threading.Thread(target=_read, args=(said, self._said, self._ready), daemon=True).start()
        return self

    def wait_ready(self) -> str:
        """The address of its `ready` line. Raises AssertionError with the log's end if it does not come."""
        self._ready.wait(START_TIMEOUT_S)
        for line in self._said:
            if line.startswith("ready "):
                return line.split()[-1]
        self.kill()
        raise AssertionError(f"{self.name} did not become ready:\n{self.said}\n{self.tail()}")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self.send(signal.SIGTERM)
        return self._process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None


def _start(
    forks: Zygote | None,
    arguments: Sequence[str],
    env: Mapping[str, str],
    folder: Path,
    streams: tuple[IO[bytes], IO[bytes], IO[bytes]],
) -> subprocess.Popen[bytes] | Fork:
    """Runs `nija`; the streams are its standard input, output and error."""
    if forks is not None:
        return forks.fork(arguments, env, folder, (streams[0].fileno(), streams[1].fileno(), streams[2].fileno()))
    stdin, stdout, stderr = streams
    return subprocess.Popen(
        [nija_command(), *arguments], stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=folder
    )


def _read(output: int, said: list[str], ready: threading.Event) -> None:
    """Keeps what a process says until it ends; `ready` is set by its line, or by its end."""
    with os.fdopen(output, "r") as lines:
        for line in lines:
            said.append(line)
            if line.startswith("ready "):
                ready.set()
    ready.set()


def steady_ports(count: int) -> list[int]:
    """Free ports below those that outgoing connections are given: a process killed and started again finds its own
    still free."""
    found: list[int] = []
    while len(found) < count:
        port = 10_000 + secrets.randbelow(22_000)
        if port not in found and not accepts(port):
            found.append(port)
    return found


def nija_command() -> str:
    """The `nija` command of the environment that runs the tests."""
    return str(Path(sys.executable).with_name("nija"))


def run_nija(arguments: Sequence[str], *, env: Mapping[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a `nija` command to its end."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NIJA_")} | dict(env)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        process = _start(zygote(), arguments, clean, Path.cwd(), (given, out, err))
        try:
            status = process.wait(60)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["nija", *arguments], status, out.read().decode(), err.read().decode())


class Embedded:
    """`nija up` on a folder of the test's own."""

    kind = "embedded"

    def __init__(
        self,
        folder: Path,
        *,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        forked: bool = True,
    ) -> None:
        self.data_dir = folder / "data"
        self.env = {**ROOMY_LIMITS, **(env or {})}
        (port,) = steady_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        arguments = ["up", "--port", str(port), "--data-dir", str(self.data_dir), *options]
        self.process = NijaProcess(arguments, env=self.env, folder=folder, name="nija-up", forked=forked)

    def start(self) -> Self:
        self.process.start()
        self.process.wait_ready()
        return self

    def create_admin(self, email: str, password: str) -> None:
        arguments = ["admin", "create", "--email", email, "--password-stdin", "--data-dir", str(self.data_dir)]
        done = run_nija(arguments, env=self.env, stdin=password + "\n")
        assert done.returncode == 0, done.stderr

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.process.kill()


class Distributed:
    """Every service in a process of its own, on Kafka and MongoDB's wire.

    `own_files`: every service but trading keeps its documents in an SQLite file of its own instead: the wire is slow,
    and only trading's API and workers share a store.
    """

    kind = "distributed"

    def __init__(
        self,
        folder: Path,
        *,
        kafka: str,
        mongo: str,
        namespace: str,
        workers: int = 1,
        own_files: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> None:
        names = [n for n in SERVED if n != "trading-worker"] + [f"trading-worker-{i}" for i in range(workers)]
        ports = dict(zip(names, steady_ports(len(names)), strict=True))
        address = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self.url = address["gateway"]
        self.env = {
            **ROOMY_LIMITS,
            "NIJA_STORE": "mongodb",
            "NIJA_BUS": "kafka",
            "NIJA_MONGO_URL": mongo,
            "NIJA_KAFKA_BOOTSTRAP": kafka,
            "NIJA_NAMESPACE": namespace,
            "NIJA_KEY_ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            "NIJA_PUBLIC_URL": self.url,
            "NIJA_JWKS_URL": address["auth"] + "/.well-known/jwks.json",
            "NIJA_MAIL_DIR": str(folder / "mail"),
            "NIJA_DATA_DIR": str(folder / "data"),
            "NIJA_MARKET": "replay",
            **{
                f"NIJA_UPSTREAMS__{name.upper().replace('-', '_')}": address[name]
                for name in ("auth", "trading-engine", "accounts", "billing", "analytics", "notifier")
            },
            **(env or {}),
        }
        self.processes = {
            name: NijaProcess(
                ["serve", "trading-worker" if name.startswith("trading-worker") else name, "--port", str(port)],
                env=self.env | (_own_file(folder, name) if own_files else {}),
                folder=folder,
                name=name,
            )
            for name, port in ports.items()
        }
        self._stores = [self.env]
        if own_files:
            self._stores += [self.env | _own_file(folder, name) for name in SERVED if not name.startswith("trading")]

    def start(self, *names: str) -> Self:
        """Makes the schema and starts every process, or those named."""
        for env in self._stores:
            done = run_nija(["migrate"], env=env)
            assert done.returncode == 0, done.stderr
        self.run(*(names or self.processes))
        return self

    def run(self, *names: str) -> None:
        """Starts these processes and waits until they are ready.

        A few at a time: on a busy machine all at once would only wait for each other, and for brokers that nobody runs.
        """
        for i, name in enumerate(names):
            self.processes[name].start()
            if i >= STARTS_AT_ONCE:
                self.processes[names[i - STARTS_AT_ONCE]].wait_ready()
        for name in names:
            self.processes[name].wait_ready()

    def create_admin(self, email: str, password: str) -> None:
        arguments = ["admin", "create", "--email", email, "--password-stdin"]
        done = run_nija(arguments, env=self.env, stdin=password + "\n")
        assert done.returncode == 0, done.stderr

    def workers(self) -> list[NijaProcess]:
        return [p for name, p in self.processes.items() if name.startswith("trading-worker")]

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()


def _own_file(folder: Path, name: str) -> dict[str, str]:
    """The settings of a service with a file of its own; nothing for trading's."""
    if name.startswith("trading"):
        return {}
    return {"NIJA_STORE": "sqlite", "NIJA_DATA_DIR": str(folder / f"data-{name}")}


def wait_for(what: str, probe: Callable[[], T], seconds: float = 30.0, *, every: float = 0.05) -> T:
    """The first true answer of `probe`; a probe that counts against a user's limit asks less often.

    Raises AssertionError saying that `what` did not come about.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what} (last: {found!r})")
        time.sleep(every)
