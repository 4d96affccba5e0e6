"""`nija serve NAME`: one service in this process, wired by settings."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import Any

import structlog

from nija_cli.environment import part_served_as, platform_settings, read_environment
from nija_common.errors import ErrorCode, NijaError, SettingsError
from nija_common.http.envelope import error_response
from nija_common.http.health import HealthApp, metrics_app
from nija_common.http.strict_protocol import StrictProtocol
from nija_common.runtime.infrastructure import open_infrastructure
from nija_common.runtime.key_encryption import sealer_of
from nija_common.runtime.manifest import AsgiApp
from nija_common.runtime.node import run_node, schema_differences
from nija_common.runtime.server import address_of, listen, serving, until_told_to_stop
from nija_common.telemetry.logging import configure_logging
from nija_common.telemetry.tracing import configure_tracing
from nija_common.values.clock import Clock, SystemClock

log = structlog.get_logger(__name__)


async def serve(name: str, host: str, port: int, *, shared_port: bool = False) -> None:
    """Runs until SIGTERM or SIGINT. Raises SettingsError for what an operator can put right, a schema that is not as
    declared included: `nija migrate` makes it."""
    env = read_environment()
    settings = platform_settings(env)
    part = part_served_as(name, env)
    service = part.service
    configure_logging(settings.log_level)
    configure_tracing(name, settings.otlp_endpoint, settings.trace_ratio)
    sealer = sealer_of(settings, may_make=False)
    clock = SystemClock()
    sock = listen(host, port, shared=shared_port)
    async with open_infrastructure(settings, clock) as infrastructure:
        differences = await schema_differences(infrastructure, [service])
        if differences:
            raise SettingsError("the schema is not as declared (`nija migrate` makes it): " + "; ".join(differences))
        async with AsyncExitStack() as stack:
            node = await stack.enter_async_context(
                run_node([part], settings=settings, clock=clock, infrastructure=infrastructure, sealer=sealer)
            )
            inner = node.local.apps.get(service.name) or _nothing(clock)
            if not any(role.routers or role.asgi for role in part.roles.values()):
                inner = _nothing(clock)
            app = HealthApp(inner, node.health, with_metrics=settings.metrics_port == -1)
            if settings.metrics_port >= 0:
                metrics_sock = listen(host, settings.metrics_port)
                log.info("metrics", address=address_of(metrics_sock))
                await stack.enter_async_context(serving(metrics_app, metrics_sock))
            http = node.running[service.name].http or StrictProtocol
            await stack.enter_async_context(serving(app, sock, http=http, notice_s=settings.drain_notice_s))
            sys.stdout.write(f"ready {name} {address_of(sock)}\n")
            sys.stdout.flush()
            await until_told_to_stop(node.drain)


def _nothing(clock: Clock) -> AsgiApp:
    """The app of a process that serves health alone."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        answer = error_response(NijaError(ErrorCode.NOT_FOUND, "There is nothing at this path."), clock)
        await answer(scope, receive, send)

    return app
