"""What the gateway costs a request, against nginx as a proxy on the same machine in the same run.

    python benchmarks/bench_gateway.py [--seconds 5] [--rounds 3] [--connections 64] [--json PATH] [--check]

An nginx answers 600 bytes of JSON. wrk asks for them through an nginx that only passes on (keep-alive both ways, one
worker), and through `nija serve gateway` with everything on: an EdDSA token of one of 64 users verified, revocation and
standing looked up, a limit shared through the store counted, request ids, metrics, the access log, time-outs, the breaker.
They run in turn; figures are medians of the rounds. Then two workers each, on one port. Then refused tokens.

Prints calls a second, the processor time of a call (the proxy's own process: what others do on the machine hardly touches
it), p50 and p99, and the ratio per core, which is that of processor times. `--check` sets the status by the goals.

Needs nginx and wrk (Debian: `apt-get install nginx-light wrk`) and Linux's /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import platform
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nija_common.events.base import Event
from nija_common.events.identity import UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.runtime.infrastructure import open_infrastructure
from nija_common.runtime.settings import PlatformSettings
from nija_common.security.tokens import Claims, jwk_of, sign
from nija_common.storage.unit_of_work import Work
from nija_common.testing.events import example_of
from nija_common.testing.platforms import NijaProcess, run_nija, steady_ports
from nija_common.testing.processes import accepts, processor_seconds, wait_until
from nija_common.values.clock import SystemClock
from nija_common.values.tiers import Tier, effective

USERS = 64
PATH = "/api/v1/account/balance"
BODY_BYTES = 600
FORGED = 30_000
"""More than the gateway remembers of refused tokens."""
CALLS_A_MINUTE = 10**9
GOALS = {"per_core": 0.35, "p99": 4.0, "megabytes": 60.0}
SERVICES = ("AUTH", "TRADING_ENGINE", "ACCOUNTS", "BILLING", "ANALYTICS", "NOTIFIER")


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of wrk, or the median of several. Times: microseconds of processor, milliseconds of waiting."""

    calls_per_second: float
    processor_us: float
    p50_ms: float
    p99_ms: float


class Proxy:
    """Something that listens, and the processes that do its work."""

    def __init__(self, name: str, port: int, pids: Sequence[int], script: Path) -> None:
        self.name, self.port, self.pids, self.script = name, port, pids, script

    def processor_us(self) -> float:
        """What its processes have used so far."""
        return processor_seconds(*self.pids) * 1e6

    def run(self, seconds: float, connections: int, *, refused: bool = False) -> Figures:
        """One run. SystemExit if an answer was not the one expected."""
        before = self.processor_us()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(self.script)]
        done = subprocess.run([*command, f"http://127.0.0.1:{self.port}{PATH}"], capture_output=True, text=True)
        used = self.processor_us() - before
        calls = int(found(r"(\d+) requests in", done.stdout))
        failed = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
        wrong = calls - int(failed.group(1) if failed else 0) if refused else int(failed.group(1) if failed else 0)
        if wrong or "Socket errors" in done.stdout or not calls:
            raise SystemExit(f"{self.name}: not the answers that were expected\n{done.stdout}{done.stderr}")
        return Figures(
            float(found(r"Requests/sec:\s+([\d.]+)", done.stdout)),
            used / calls,
            milliseconds(found(r"\n +50% +(\S+)", done.stdout)),
            milliseconds(found(r"\n +99% +(\S+)", done.stdout)),
        )


def found(pattern: str, text: str) -> str:
    """The group of a pattern that has to be there."""
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"wrk said something else than expected:\n{text}")
    return match.group(1)


def milliseconds(text: str) -> float:
    """wrk's own way of writing times."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def median(runs: Sequence[Figures]) -> Figures:
    """Of each figure by itself."""
    return Figures(*(statistics.median(column) for column in zip(*(asdict(run).values() for run in runs), strict=True)))


# What runs.


@contextmanager
def nginx(folder: Path, name: str, server: str, workers: int = 1) -> Iterator[list[int]]:
    """An nginx of its own; the ids of its workers."""
    root = folder / name
    root.mkdir()
    (root / "nginx.conf").write_text(
        f"worker_processes {workers}; pid {root}/pid; error_log {root}/error.log; daemon off;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 75s;\n"
        f"client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/f;\n"
        f"uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n{server}\n}}\n"
    )
    process = subprocess.Popen([nginx_command(), "-p", str(root), "-c", str(root / "nginx.conf")])
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if not wait_until(lambda: len(children.read_text().split()) == workers, 10):
            raise SystemExit(f"nginx did not start: {(root / 'error.log').read_text()}")
        yield [int(pid) for pid in children.read_text().split()]
    finally:
        process.terminate()
        process.wait(10)


def nginx_command() -> str:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or "nginx"


def upstream_config(port: int, jwks: str) -> str:
    padding = "x" * (BODY_BYTES - len('{"success":true,"data":""}'))
    return (
        f"server {{ listen 127.0.0.1:{port} backlog=4096; default_type application/json;\n"
        f"location = /.well-known/jwks.json {{ return 200 '{jwks}'; }}\n"
        f'location / {{ return 200 \'{{"success":true,"data":"{padding}"}}\'; }} }}'
    )


def proxy_config(port: int, upstream: int) -> str:
    return (
        f"upstream services {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096 reuseport; location / {{ proxy_pass http://services;\n"
        f'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }} }}'
    )


class Gateway:
    """`nija serve gateway` on a data folder of its own that knows the users; it listens on a port with others."""

    def __init__(self, folder: Path, port: int, upstream: int) -> None:
        self.folder = folder
        env = {
            "NIJA_DATA_DIR": str(folder / "data"),
            "NIJA_JWKS_URL": f"http://127.0.0.1:{upstream}/.well-known/jwks.json",
            "NIJA_KEY_ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            # More than one: so the limit is counted through the store, as on a platform of several gateways.
            "NIJA_GATEWAY_REPLICAS": "2",
            **{f"NIJA_UPSTREAMS__{name}": f"http://127.0.0.1:{upstream}" for name in SERVICES},
        }
        folder.mkdir()
        done = run_nija(["migrate"], env=env)
        if done.returncode:
            raise SystemExit(done.stderr)
        asyncio.run(tell_of_users(folder / "data"))
        arguments = ["serve", "gateway", "--port", str(port), "--shared-port"]
        self.process = NijaProcess(arguments, env=env, folder=folder, name="gateway", forked=False)

    def __enter__(self) -> Gateway:
        self.process.start().wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def megabytes(self) -> dict[str, float]:
        """Memory: all that is resident, and what of it is the process's own (no file that others map as well)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        names = {"resident": "VmRSS", "own": "RssAnon"}
        return {name: round(int(found(rf"{key}:\s+(\d+)", status)) / 1024, 1) for name, key in names.items()}


async def tell_of_users(data_dir: Path) -> None:
    """Auth and billing have announced the users; their limit is out of reach."""
    stretch = effective(Tier.ENTERPRISE, from_ms=0, live=False)
    roomy = stretch.model_copy(
        update={"limits": stretch.limits.model_copy(update={"api_calls_per_minute": CALLS_A_MINUTE})}
    )
    async with open_infrastructure(PlatformSettings(data_dir=data_dir), SystemClock()) as infrastructure:
        for source in ("auth", "billing"):
            events: list[Event] = []
            for number in range(USERS):
                user_id = f"usr_{number}"
                if source == "auth":
                    # The example's time before which tokens are void lies in the past of any token made here.
                    events.append(example_of(UserSnapshot, user_id=user_id, role="user", status="active"))
                else:
                    events.append(example_of(SubscriptionSnapshot, user_id=user_id, effective=(roomy,)))
            work = Work(infrastructure.storage_of(source), infrastructure.bus, SystemClock(), source)
            uow = work.open()
            uow.emit(*events)
            await work.commit(uow)


# Tokens, and wrk's script that sends them in turn.


def tokens(key: Ed25519PrivateKey, *, age_s: int = 0) -> list[str]:
    """One for each user; older than a day they have expired."""
    now = int(time.time()) - age_s
    return [
        sign(
            Claims(f"usr_{number}", f"ses_{number}", "user", now, now + 86_400, now * 1000, 0),
            key,
            "bench",
        )
        for number in range(USERS)
    ]


def forged(real: str, count: int) -> list[str]:
    """The token of a user with signatures of nobody, each another."""
    signed = real.rpartition(".")[0]
    return [f"{signed}.{base64.urlsafe_b64encode(secrets.token_bytes(64)).rstrip(b'=').decode()}" for _ in range(count)]


def script(folder: Path, name: str, given: Sequence[str]) -> Path:
    """For wrk: the tokens in turn, each request put together beforehand."""
    (folder / f"{name}.txt").write_text("\n".join(given))
    path = folder / f"{name}.lua"
    path.write_text(
        f'local requests, at = {{}}, 0\nfunction init() for line in io.lines("{folder / name}.txt") do\n'
        f'requests[#requests + 1] = wrk.format("GET", "{PATH}", {{["Authorization"] = "Bearer " .. line}}) end end\n'
        "function request() at = at % #requests + 1; return requests[at] end\n"
    )
    return path


# The runs.


def in_turn(proxies: Sequence[Proxy], rounds: int, seconds: float, connections: int) -> dict[str, Figures]:
    """Each once to warm up, then `rounds` times in turn; medians by name, printed."""
    runs: dict[str, list[Figures]] = {proxy.name: [] for proxy in proxies}
    for proxy in proxies:
        proxy.run(min(2.0, seconds), connections)
    for _ in range(rounds):
        for proxy in proxies:
            runs[proxy.name].append(proxy.run(seconds, connections))
    medians = {name: median(figures) for name, figures in runs.items()}
    for name, figures in medians.items():
        show(name, figures)
    return medians


def show(name: str, figures: Figures) -> None:
    print(
        f"  {name:44} {figures.calls_per_second:9,.0f}/s  processor {figures.processor_us:7.1f} us"
        f"  p50 {figures.p50_ms:7.2f}  p99 {figures.p99_ms:7.2f} ms",
        flush=True,
    )


def compared(peer: Figures, ours: Figures) -> dict[str, float]:
    """Ours against the peer's: calls of one core, calls a second as they were, p99."""
    found = {
        "per_core": round(peer.processor_us / ours.processor_us, 3),
        "calls": round(ours.calls_per_second / peer.calls_per_second, 3),
        "p99": round(ours.p99_ms / peer.p99_ms, 2),
    }
    print(
        f"  of nginx: {found['per_core']:.2f} per core, {found['calls']:.2f} in calls a second, p99 x {found['p99']:.1f}"
    )
    return found


def measure(folder: Path, rounds: int, seconds: float, connections: int) -> dict[str, object]:
    """Everything."""
    key = Ed25519PrivateKey.generate()
    upstream, plain, double, ours = steady_ports(4)
    valid = tokens(key)
    served = script(folder, "valid", valid)
    jwks = json.dumps({"keys": [jwk_of(key.public_key(), "bench")]})
    with ExitStack() as stack:
        stack.enter_context(nginx(folder, "upstream", upstream_config(upstream, jwks)))
        one = stack.enter_context(nginx(folder, "one", proxy_config(plain, upstream)))
        first = stack.enter_context(Gateway(folder / "first", ours, upstream))
        wait_until(lambda: accepts(plain), 10)

        print(f"one worker, {connections} connections, {BODY_BYTES} bytes", flush=True)
        peer = Proxy("nginx, proxy with keep-alive", plain, one, served)
        gateway = Proxy("nija gateway, everything on", ours, [first.process.pid], served)
        single = in_turn([peer, gateway], rounds, seconds, connections)
        single_ratio = compared(*single.values())

        print("refused tokens", flush=True)
        refused = {}
        for name, given in {
            "a bad signature, the same again": forged(valid[0], 1),
            "a bad signature, another each time": forged(valid[0], FORGED),
            "expired": tokens(key, age_s=90_000),
        }.items():
            ours_refusing = Proxy(name, ours, [first.process.pid], script(folder, "refused", given))
            ours_refusing.run(1.0, connections, refused=True)
            refused[name] = ours_refusing.run(seconds, connections, refused=True)
            show(name, refused[name])
        megabytes = first.megabytes()
        print(f"  memory of the worker: {megabytes['resident']} MB, {megabytes['own']} its own", flush=True)

        print(f"two workers, {connections} connections", flush=True)
        two = stack.enter_context(nginx(folder, "two", proxy_config(double, upstream), workers=2))
        second = stack.enter_context(Gateway(folder / "second", ours, upstream))
        peers = Proxy("nginx, two workers", double, two, served)
        gateways = Proxy("nija gateway, two processes on one port", ours, [], served)
        gateways.pids = [first.process.pid, second.process.pid]
        both = in_turn([peers, gateways], rounds, seconds, connections)
        both_ratio = compared(*both.values())
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        "one_worker": {name: asdict(figures) for name, figures in single.items()},
        "one_worker_of_nginx": single_ratio,
        "two_workers": {name: asdict(figures) for name, figures in both.items()},
        "two_workers_of_nginx": both_ratio,
        "refused": {name: asdict(figures) for name, figures in refused.items()},
        "megabytes": megabytes,
        "goals": GOALS,
    }


def missed(report: dict[str, object]) -> list[str]:
    """In words, which goals are."""
    ratio, refused, served = report["one_worker_of_nginx"], report["refused"], report["one_worker"]
    assert isinstance(ratio, dict) and isinstance(refused, dict) and isinstance(served, dict)
    megabytes = report["megabytes"]
    assert isinstance(megabytes, dict)
    cost = served["nija gateway, everything on"]["processor_us"]
    found = [f"refused, {name}: more than a call served" for name, f in refused.items() if f["processor_us"] >= cost]
    if ratio["per_core"] < GOALS["per_core"]:
        found.append(f"{ratio['per_core']} of nginx per core, {GOALS['per_core']} is the goal")
    if ratio["p99"] > GOALS["p99"]:
        found.append(f"p99 {ratio['p99']} times that of nginx, {GOALS['p99']:g} is the goal")
    if megabytes["resident"] > GOALS["megabytes"]:
        found.append(f"{megabytes['resident']} MB, {GOALS['megabytes']:g} is the goal")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each run lasts")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn")
    parser.add_argument("--connections", type=int, default=64, help="how many wrk holds")
    parser.add_argument("--check", action="store_true", help="status 1 where a goal is missed")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    absent = [name for name in (nginx_command(), "wrk") if shutil.which(name) is None]
    if absent or not Path("/proc/self/stat").exists():
        raise SystemExit(f"needs {' and '.join(absent) or '/proc'} (Debian: apt-get install nginx-light wrk)")
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), options.rounds, options.seconds, options.connections)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    late = missed(report)
    for line in late:
        print(f"missed: {line}", file=sys.stderr)
    if late and options.check:
        sys.exit(1)


if __name__ == "__main__":
    main()
