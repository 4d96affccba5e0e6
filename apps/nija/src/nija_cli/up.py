"""`nija up`: every service in this process, on one data folder."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from nija_cli import demo
from nija_cli.environment import platform_settings, read_environment
from nija_cli.services import SERVICES, all_parts
from nija_common.errors import SettingsError
from nija_common.http.health import HealthApp
from nija_common.runtime.infrastructure import open_infrastructure
from nija_common.runtime.key_encryption import sealer_of
from nija_common.runtime.node import migrate, run_node
from nija_common.runtime.server import address_of, listen, serving, until_told_to_stop
from nija_common.telemetry.logging import configure_logging
from nija_common.telemetry.tracing import configure_tracing
from nija_common.values.clock import SystemClock

DEMO_SPEED = 3600.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; None leaves it to the settings."""

    host: str
    port: int
    data_dir: Path | None
    market: str | None
    candles: Path | None
    speed: float | None
    demo: bool


async def up(options: Options) -> None:
    """Runs until SIGTERM or SIGINT. Raises SettingsError for what a user can put right."""
    env = read_environment()
    given = {name: getattr(options, name) for name in ("data_dir", "market", "candles", "speed")}
    if options.demo:
        given["market"] = given["market"] or env.get("NIJA_MARKET", "replay")
        given["speed"] = given["speed"] or float(env.get("NIJA_SPEED", DEMO_SPEED))
    sock = listen(options.host, options.port)
    address = address_of(sock)
    given["public_url"] = env.get("NIJA_PUBLIC_URL", address)
    settings = platform_settings(env, **given)
    if (settings.store, settings.bus) != ("sqlite", "sqlite"):
        raise SettingsError(
            "NIJA_STORE, NIJA_BUS: `nija up` runs on its own file; use `nija serve` with MongoDB and Kafka"
        )
    configure_logging(settings.log_level)
    configure_tracing("platform", settings.otlp_endpoint, settings.trace_ratio)
    parts = all_parts(env)
    sealer = sealer_of(settings, may_make=True)
    clock = SystemClock()
    async with open_infrastructure(settings, clock) as infrastructure:
        await migrate(infrastructure, SERVICES)
        async with run_node(
            parts, settings=settings, clock=clock, infrastructure=infrastructure, sealer=sealer
        ) as node:
            app = HealthApp(node.app("gateway"), node.health, with_metrics=True)
            async with serving(app, sock, notice_s=settings.drain_notice_s):
                if options.demo:
                    for line in await asyncio.to_thread(demo.prepare, address, settings.data_dir):
                        _say(line)
                _say(f"ready {address}")
                await until_told_to_stop(node.drain)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
