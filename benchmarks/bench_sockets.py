"""What a message to a socket costs: the notifier's processor time, how long messages take, and what a connection weighs.

    python benchmarks/bench_sockets.py [--clients 1000] [--seconds 5] [--rounds 3] [--strict] [--json PATH]

The notifier (all of its roles, on the embedded platform) is a process of its own behind the real server; so is its peer,
a plain Starlette loop of `send_text`. This process is every client: signed in on a socket of its own, each a user of its
own who follows all channels. It reads sockets as cheaply as it can, and parses frames as far as counting needs.

- `one at a time`: an event for everybody (the global kill switch) of 320 bytes; the next once each client has it.
- `ten at a time`: ten of them in a commit. Each client can be given the ten in one write.
- `positions`: the price of a market in which each user has a position; every client is told of its own.
- `trades`: a trade of each user, a hundred events in a commit; what reading an event from the bus costs is in it.
- `steady`: 20 events for everybody a second, whatever has been read: the time from the commit to the client, first with all
  of them reading, then with one that has stopped and for whom messages wait in the notifier.

All costs of a message are the notifier's whole process: bus, consumers, its memory of what was told, and the producer, who
shares it. Processor time is what counts (Linux, `/proc`): clients run on the same machine, and others may. The peer is
given the same texts by a line on its standard input. Messages a second of a core are the reverse of processor time.

Goals: 100,000 messages/s of a core one at a time and 700,000 ten at a time; p99 <= 25 ms; 30 KB a connection; a stalled
client changes nothing for the others (p99 below 1.5 times, or 5 ms more). `--strict`: status 1 where one is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from nija_common.events.base import Event
from nija_common.events.trading import KillSwitchSnapshot, MarketMarked, PositionOpened, TradeOpened
from nija_common.runtime.manifest import Role, Service
from nija_common.runtime.platform import Platform
from nija_common.runtime.server import listen, serving
from nija_common.runtime.settings import Block
from nija_common.storage.unit_of_work import Work
from nija_common.telemetry.logging import configure_logging
from nija_common.testing import TestPlatform, figures, start_platform
from nija_common.testing.events import example_of
from nija_common.testing.processes import processor_seconds
from nija_common.values.clock import SystemClock
from nija_common.values.frames import text_in
from nija_notifier.domain.alerts import Alarms
from nija_notifier.domain.hub import Hub
from nija_notifier.service import SERVICE as NOTIFIER

GOALS = {"one_per_second": 100_000, "ten_per_second": 700_000, "p99_ms": 25.0, "kilobytes": 30.0}
STALLED_RATIO, STALLED_MS = 1.5, 5.0
TEXT_BYTES = 320
TEN = 10
SMALL_BUFFER = 4096
STORY_BYTES = 50_000
STEADY_PER_SECOND = 20
STAMP = b'"reason":"'
DIGITS = 19
PATIENCE_S = 60.0
PEER = Path(__file__).parent / "peers" / "starlette_sockets.py"
CHANNELS = ("alerts", "positions", "trades")


# The notifier's process.


class Announcer:
    """Trading's part: commits the events. Every switch is a change, and every alert has the same length."""

    def __init__(self, platform: TestPlatform) -> None:
        infrastructure = platform.node.infrastructure
        self._work = Work(
            infrastructure.storage_of("trading-engine"), infrastructure.bus, SystemClock(), "trading-engine"
        )
        self._active = False
        self._price = 40_000.0
        self._trades = 0

    async def commit(self, *events: Event) -> None:
        uow = self._work.open()
        uow.emit(*events)
        await self._work.commit(uow, deadline_s=30.0)

    def switch(self) -> KillSwitchSnapshot:
        """The next change; its reason begins with the moment (monotonic nanoseconds, 19 digits)."""
        self._active = not self._active
        # Without milliseconds a time would be four bytes shorter.
        at_ms = time.time_ns() // 1_000_000
        at_ms += at_ms % 1000 == 0
        event = example_of(
            KillSwitchSnapshot,
            active=self._active,
            reason=f"{time.monotonic_ns():0{DIGITS}}",
            at_ms=at_ms,
            notify_users=False,
        )
        return event.model_copy(update={"reason": event.reason + "." * (TEXT_BYTES - _length(event))})

    def mark(self) -> MarketMarked:
        self._price += 0.5
        return example_of(MarketMarked, price=self._price, at_ms=time.time_ns() // 1_000_000)

    def trade(self, user_id: str) -> TradeOpened:
        """Long ago, so that no mail is written about it."""
        self._trades += 1
        return example_of(TradeOpened, user_id=user_id, trade_id=f"trd_{self._trades}")


def _length(event: KillSwitchSnapshot) -> int:
    """Bytes of the text of its alert."""
    alarms = Alarms()
    if not event.active:
        alarms.switch_changed(event.model_copy(update={"active": True}))
    alert = alarms.switch_changed(event)
    assert alert is not None
    return len(text_in(alert.frame))


async def obey(platform: TestPlatform, users: list[str], lines: asyncio.StreamReader) -> None:
    """Each line is a command; its answer, a line of JSON, says that it was carried out."""
    announcer = Announcer(platform)
    hub = platform.deps(NOTIFIER.name).hub
    while line := await lines.readline():
        name, *numbers = line.decode().split()
        answer: Any = {}
        if name == "switches":
            await announcer.commit(*(announcer.switch() for _ in range(int(numbers[0]))))
        elif name == "mark":
            await announcer.commit(announcer.mark())
        elif name == "trades":
            for start in range(0, len(users), 100):
                await announcer.commit(*(announcer.trade(user) for user in users[start : start + 100]))
        elif name == "steady":
            answer = await steady(announcer, int(numbers[0]))
        elif name == "fill":
            answer = {"bytes": await filled(announcer, hub, users[-1])}
        say(answer)


async def filled(announcer: Announcer, hub: Hub, user_id: str) -> int:
    """Tells one user long stories until some wait in the outbox: the kernel's buffers grow to megabytes. How many bytes."""
    (connection,) = hub.connections_of(user_id)
    active = False
    while not connection.outbox.waiting_bytes:
        active = not active
        await announcer.commit(example_of(KillSwitchSnapshot, scope=user_id, active=active, reason="." * STORY_BYTES))
        await asyncio.sleep(0.03)
    return int(connection.outbox.waiting_bytes)


async def steady(announcer: Announcer, seconds: int) -> dict[str, int]:
    """When (monotonic nanoseconds) the commit of each event was done, by the event's stamp."""
    committed = {}
    begun = time.monotonic()
    for number in range(STEADY_PER_SECOND * seconds):
        await asyncio.sleep(max(0.0, begun + number / STEADY_PER_SECOND - time.monotonic()))
        event = announcer.switch()
        await announcer.commit(event)
        committed[event.reason[:DIGITS]] = time.monotonic_ns()
    return committed


def say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


class NoSettings(Block):
    """None."""


@asynccontextmanager
async def nothing(_: NoSettings, platform: Platform) -> AsyncIterator[None]:
    yield None


TELLER = Service(name="trading-engine", settings=NoSettings, build=nothing, roles={"api": Role()}, collections=())
"""Has an outbox under the name by which the notifier knows the producer."""


async def serve_notifier(folder: Path, clients: int) -> None:
    """Says its port and the clients' tokens, then obeys standard input to its end."""
    configure_logging("error")
    async with start_platform(folder, [NOTIFIER, TELLER], clock=SystemClock()) as platform:
        users = [f"usr_{number:05d}" for number in range(clients)]
        announcer = Announcer(platform)
        for start in range(0, clients, 100):
            opened = [
                example_of(PositionOpened, user_id=user, position_id=f"pos_{user}", at_ms=0, opened_at_ms=0)
                for user in users[start : start + 100]
            ]
            await announcer.commit(*opened)
        await platform.settled()
        sock = listen("127.0.0.1", 0)
        async with serving(platform.app(NOTIFIER.name), sock):
            # As `nija serve` does once it is ready.
            gc.freeze()
            say({"port": sock.getsockname()[1], "tokens": [platform.token(user) for user in users]})
            lines = asyncio.StreamReader()
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
            await obey(platform, users, lines)


# The clients.


class Server:
    """A process that listens, and obeys lines."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.hello: dict[str, Any] = self.answer()
        self.port: int = self.hello["port"]

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the server ended with {self._process.wait()}")
        return json.loads(line)

    def processor_s(self) -> float:
        """What its process has used so far."""
        return processor_seconds(self._process.pid)

    def kilobytes(self) -> int:
        """What is resident."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame; its mask is zero."""
    size = len(payload)
    head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload


@dataclass(slots=True)
class Client:
    sock: socket.socket
    rest: bytes = b""
    heard: int = 0
    """Text frames."""


def connected(port: int, *, buffer_bytes: int | None = None) -> Client:
    """Has shaken hands. `buffer_bytes`: what the kernel takes for a client that reads nothing."""
    sock = socket.socket()
    if buffer_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    sock.settimeout(PATIENCE_S)
    sock.connect(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        b"GET /ws/v1 HTTP/1.1\r\nHost: nija\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % key.encode()
    )
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(4096)
    if not data.startswith(b"HTTP/1.1 101"):
        raise SystemExit(f"no handshake: {data[:200]!r}")
    return Client(sock, data.partition(b"\r\n\r\n")[2])


@dataclass
class Clients:
    """All of them in one `epoll`. `stamps`: of each text frame heard while it is a list, (stamp, moment)."""

    all: list[Client] = field(default_factory=list)
    stamps: list[tuple[int, int]] | None = None

    def __post_init__(self) -> None:
        self._epoll = select.epoll()
        self._by_fd: dict[int, Client] = {}

    def add(self, client: Client) -> None:
        client.sock.setblocking(False)
        self.all.append(client)
        self._by_fd[client.sock.fileno()] = client
        self._epoll.register(client.sock, select.EPOLLIN)
        self._take(client, b"", time.monotonic_ns())

    def read(self, timeout_s: float) -> None:
        """Whatever has come."""
        for fd, _ in self._epoll.poll(timeout_s, 1024):
            client = self._by_fd[fd]
            data = client.sock.recv(262_144)
            if not data:
                raise SystemExit("the server has closed a connection")
            self._take(client, data, time.monotonic_ns())

    def _take(self, client: Client, data: bytes, now_ns: int) -> None:
        """Counts frames; answers pings."""
        if client.rest:
            data = client.rest + data
        at, end = 0, len(data)
        while end - at >= 2:
            size, head = data[at + 1], 2
            if size == 126:
                if end - at < 4:
                    break
                size, head = data[at + 2] << 8 | data[at + 3], 4
            if size > 0xFFFF or data[at] not in (0x81, 0x89):
                raise SystemExit(f"not a frame that was expected: {data[at : at + 12]!r}")
            if end - at < head + size:
                break
            if data[at] == 0x81:
                client.heard += 1
                if self.stamps is not None:
                    begins = data.index(STAMP, at) + len(STAMP)
                    self.stamps.append((int(data[begins : begins + DIGITS]), now_ns))
            else:
                client.sock.send(masked(0xA, data[at + head : at + head + size]))
            at += head + size
        client.rest = data[at:]

    def until(self, each: int, of: list[Client]) -> None:
        """Reads until each of them has heard so many frames in all."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            behind = [client for client in of if client.heard < each]
            if not behind:
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"{len(behind)} clients have not heard everything")
            for _ in range(1 + len(behind) // 8):
                self.read(0.005)
                if behind[0].heard >= each and behind[-1].heard >= each:
                    break

    def close(self) -> None:
        for client in self.all:
            client.sock.close()
        self._epoll.close()


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one way to tell everybody: messages a second by the clock and of a core, and microseconds of processor."""

    per_second: float
    per_second_a_core: float
    processor_us: float


def closed_loop(
    server: Server, clients: Clients, line: str, each: int, seconds: float, *, answers: bool = True
) -> Cost:
    """The command again and again: next once every client has heard `each` frames more. Starts with all at rest."""
    heard = clients.all[0].heard
    told, begun, used = 0, time.perf_counter(), server.processor_s()
    while time.perf_counter() - begun < seconds:
        server.tell(line)
        heard += each
        clients.until(heard, clients.all)
        if answers:
            server.answer()
        told += each * len(clients.all)
    wall, processor = time.perf_counter() - begun, server.processor_s() - used
    return Cost(told / wall, told / processor, processor / told * 1e6)


def median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(column) for column in zip(*(asdict(cost).values() for cost in costs), strict=True)))


@dataclass(frozen=True, slots=True)
class Delay:
    """From the commit to the client, milliseconds; `processor_us`: the notifier's for a message."""

    p50_ms: float
    p99_ms: float
    with_commit_p99_ms: float
    processor_us: float


def open_loop(server: Server, clients: Clients, seconds: int) -> Delay:
    """20 events a second for everybody."""
    heard = clients.all[0].heard
    clients.stamps = []
    used = server.processor_s()
    server.tell(f"steady {seconds}")
    clients.until(heard + STEADY_PER_SECOND * seconds, clients.all)
    committed = {int(stamp): at for stamp, at in server.answer().items()}
    processor = server.processor_s() - used
    stamps, clients.stamps = clients.stamps, None
    # The first second warms up.
    counted = set(sorted(committed)[STEADY_PER_SECOND:])
    after = [(at - committed[stamp]) / 1e6 for stamp, at in stamps if stamp in counted]
    whole = [(at - stamp) / 1e6 for stamp, at in stamps if stamp in counted]
    return Delay(
        round(statistics.median(after), 2),
        round(statistics.quantiles(after, n=100)[98], 2),
        round(statistics.quantiles(whole, n=100)[98], 2),
        round(processor / len(stamps) * 1e6, 2),
    )


def sign_in(port: int, tokens: list[str], clients: Clients, buffer_bytes: int | None = None) -> None:
    """Each its own user, following everything; answers and first positions are heard before it returns."""
    added = []
    for token in tokens:
        client = connected(port, buffer_bytes=buffer_bytes)
        client.sock.sendall(masked(1, orjson.dumps({"type": "auth", "token": token})))
        for channel in CHANNELS:
            client.sock.sendall(masked(1, orjson.dumps({"type": "subscribe", "channel": channel})))
        clients.add(client)
        clients.read(0)
        added.append(client)
    # auth_success, three times subscribed, the position; where the switch is on, that as well.
    clients.until(5, added)


def stall(server: Server, token: str) -> Clients:
    """One client more, which reads nothing; returns once messages for it wait in the notifier's memory."""
    one = Clients()
    sign_in(server.port, [token], one, SMALL_BUFFER)
    server.tell("fill")
    server.answer()
    return one


def peer_costs(clients_count: int, seconds: float) -> dict[str, Cost]:
    """Starlette's loop over the same clients."""
    with Server(str(PEER)) as server:
        clients = Clients()
        for _ in range(clients_count):
            clients.add(connected(server.port))
        found = {}
        for name, each in (("one", 1), ("ten", TEN)):
            found[name] = closed_loop(server, clients, f"{each} {TEXT_BYTES}", each, seconds, answers=False)
        clients.close()
        return found


def show(name: str, cost: Cost) -> None:
    print(
        f"  {name:34} {cost.processor_us:7.2f} us of processor   {cost.per_second_a_core:>11,.0f}/s a core"
        f"   {cost.per_second:>11,.0f}/s here",
        flush=True,
    )


def measure(count: int, seconds: float, rounds: int, folder: Path) -> dict[str, Any]:
    """Everything, printed as it comes."""
    ours: dict[str, list[Cost]] = {"one": [], "ten": [], "positions": [], "trades": []}
    peers: dict[str, list[Cost]] = {"one": [], "ten": []}
    with Server(__file__, "--serve", str(folder), "--clients", str(count + 1)) as server:
        empty = server.kilobytes()
        clients = Clients()
        *tokens, one_more = server.hello["tokens"]
        sign_in(server.port, tokens, clients)
        kilobytes = {"empty": empty, "signed_in": server.kilobytes()}
        ways: tuple[tuple[str, str, int], ...] = (
            ("one", "switches 1", 1),
            ("ten", f"switches {TEN}", TEN),
            ("positions", "mark", 1),
            ("trades", "trades", 1),
        )
        for _ in range(rounds):
            for name, line, each in ways:
                ours[name].append(closed_loop(server, clients, line, each, seconds))
            for name, cost in peer_costs(count, seconds).items():
                peers[name].append(cost)
        long = max(4, round(2 * seconds))
        reading = open_loop(server, clients, long)
        kilobytes["before_the_stall"] = server.kilobytes()
        silent = stall(server, one_more)
        beside = open_loop(server, clients, long)
        kilobytes["with_one_stalled"] = server.kilobytes()
        silent.close()
        clients.close()
    costs = {name: median(found) for name, found in ours.items()}
    peer = {name: median(found) for name, found in peers.items()}
    print(f"notifier, {count} clients")
    for name, cost in costs.items():
        show({"one": "one at a time", "ten": "ten at a time"}.get(name, name), cost)
    print("Starlette, a send_text for each")
    for name, cost in peer.items():
        show({"one": "one at a time", "ten": "ten at a time"}[name], cost)
    ratio = {name: round(peer[name].processor_us / costs[name].processor_us, 2) for name in peer}
    each_kilobytes = round((kilobytes["signed_in"] - empty) / count, 1)
    print(f"  per core that is {ratio['one']} and {ratio['ten']} times the peer")
    for title, delay in (("all read", reading), ("one has stalled", beside)):
        print(
            f"  {STEADY_PER_SECOND * count:,} messages/s, {title:16} p50 {delay.p50_ms:6.2f} ms   p99 {delay.p99_ms:6.2f} ms"
            f"   with the commit p99 {delay.with_commit_p99_ms:6.2f} ms   {delay.processor_us:.2f} us of processor"
        )
    print(f"  memory: {kilobytes}, {each_kilobytes} KB a connection")
    return {
        "clients": count,
        "notifier": {name: asdict(cost) for name, cost in costs.items()},
        "starlette": {name: asdict(cost) for name, cost in peer.items()},
        "times_the_peer": ratio,
        "steady": {"reading": asdict(reading), "one_stalled": asdict(beside)},
        "kilobytes": kilobytes,
        "kilobytes_a_connection": each_kilobytes,
        "goals": GOALS,
    }


def misses(found: dict[str, Any]) -> list[str]:
    """In words, which goals are."""
    wrong = []
    for name in ("one", "ten"):
        reached, goal = found["notifier"][name]["per_second_a_core"], GOALS[f"{name}_per_second"]
        if reached < goal:
            wrong.append(f"{name} at a time: {reached:,.0f} messages/s of a core, the goal is {goal:,}")
    reading, beside = found["steady"]["reading"], found["steady"]["one_stalled"]
    for title, delay in (("all read", reading), ("one has stalled", beside)):
        if delay["p99_ms"] > GOALS["p99_ms"]:
            wrong.append(f"{title}: p99 {delay['p99_ms']} ms, the goal is {GOALS['p99_ms']:g}")
    if beside["p99_ms"] > max(STALLED_RATIO * reading["p99_ms"], reading["p99_ms"] + STALLED_MS):
        wrong.append(f"a stalled client: p99 {beside['p99_ms']} ms instead of {reading['p99_ms']}")
    if found["kilobytes_a_connection"] > GOALS["kilobytes"]:
        wrong.append(f"{found['kilobytes_a_connection']} KB a connection, the goal is {GOALS['kilobytes']:g}")
    return wrong


def enough_files(clients: int) -> None:
    """This process and those it starts have a descriptor for each client. SystemExit where that is not allowed."""
    wanted = clients + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise SystemExit(f"{wanted} open files are needed, {hard} are allowed (ulimit -n)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each way in a round")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    figures.add_options(parser)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    enough_files(options.clients)
    if options.serve:
        import uvloop

        run: Callable[[Any], Any] = uvloop.run
        run(serve_notifier(options.serve, options.clients))
        return 0
    with tempfile.TemporaryDirectory(prefix="nija-sockets-") as folder:
        found = measure(options.clients, options.seconds, options.rounds, Path(folder))
    return figures.ended(options, found, misses(found))


if __name__ == "__main__":
    sys.exit(main())
