"""Two gateways, two of accounts and two of trading's API behind balancers are restarted one after another under load:
no request fails. NIJA_TEST_LONG=1 runs it.

The balancers do what Kubernetes' Service does: new connections go to whoever is ready. The other services, which have
one process here, are not called and not restarted.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from nija_common.testing.balancer import Balancer
from nija_common.testing.client import ApiClient
from nija_common.testing.load import Call, Load, counted, percentile
from nija_common.testing.long_run import only_long
from nija_common.testing.platforms import Distributed, NijaProcess, steady_ports, wait_for

NOTICE_S = 1.5
TWICE = ("accounts", "trading-engine", "gateway")
USERS = 30
CALLERS = 6
RATE = 20.0


class Pairs:
    """A distributed platform with a second process of some services, and a balancer before each pair."""

    def __init__(self, folder: Path, kafka: str, mongo: str, namespace: str) -> None:
        ports = iter(steady_ports(2 * len(TWICE)))
        self.front = {name: next(ports) for name in TWICE}
        address = {name: f"http://127.0.0.1:{port}" for name, port in self.front.items()}
        env = {
            "NIJA_SPEED": "1",
            "NIJA_DRAIN_NOTICE_S": str(NOTICE_S),
            "NIJA_GATEWAY_REPLICAS": "2",
            "NIJA_PUBLIC_URL": address["gateway"],
            "NIJA_UPSTREAMS__ACCOUNTS": address["accounts"],
            "NIJA_UPSTREAMS__TRADING_ENGINE": address["trading-engine"],
        }
        self.platform = Distributed(folder, kafka=kafka, mongo=mongo, namespace=namespace, env=env)
        self.second = {
            name: NijaProcess(
                ["serve", name, "--port", str(next(ports))], env=self.platform.env, folder=folder, name=f"{name}-2"
            )
            for name in TWICE
        }
        self.url = address["gateway"]

    def start(self, stack: ExitStack) -> None:
        stack.callback(self.stop)
        self.platform.start()
        for name, process in self.second.items():
            process.start()
            backends = [int(p.wait_ready().rpartition(":")[2]) for p in (self.platform.processes[name], process)]
            stack.enter_context(Balancer(self.front[name], backends))

    def stop(self) -> None:
        for process in (*self.platform.processes.values(), *self.second.values()):
            process.kill()

    def in_turn(self) -> Iterator[NijaProcess]:
        for name in TWICE:
            yield self.platform.processes[name]
            yield self.second[name]


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.mongo
@pytest.mark.timeout(900)
@only_long("eleven processes")
def test_a_rolling_restart_fails_no_request(
    tmp_path: Path, kafka_bootstrap: str, mongo_url: str, namespace: str
) -> None:
    pairs = Pairs(tmp_path, kafka_bootstrap, mongo_url, namespace)
    with ExitStack() as stack:
        pairs.start(stack)
        wait_for("the balancers pass on", lambda: _answers(pairs.url))
        users = [ApiClient(pairs.url).register() for _ in range(USERS)]
        turn = itertools.count()

        def following(_: int) -> Call:
            n = next(turn)
            client = users[n % USERS]
            if n % 5 == 0:
                body = {"trading": {"max_position_size_usd": 100 + n}}
                return Call("PUT", "/api/v1/config/settings", client.token, body)
            path = "/api/v1/trading/status" if n % 2 else "/api/v1/config/settings"
            return Call("GET", path, client.token)

        seconds = []
        with Load(pairs.url, CALLERS, following, rate=RATE) as load:
            wait_for("the load is under way", lambda: sum(c.ok for c in list(load.history)) > 3 * CALLERS)
            for process in pairs.in_turn():
                began = time.monotonic()
                assert process.stop() == 0, process.tail()
                seconds.append(time.monotonic() - began)
                process.start()
                process.wait_ready()
                time.sleep(1.0)
        print(  # noqa: T201 - figures for docs/failures.md
            f"rolling restart of {len(seconds)} processes: each ended in {min(seconds):.1f} to {max(seconds):.1f} s; "
            f"{counted(load.history)}, p99 {percentile([c.seconds for c in load.history], 0.99):.2f} s"
        )
        assert set(counted(load.history)) == {"200"}, counted(load.history)
        for user in users:
            user.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False
