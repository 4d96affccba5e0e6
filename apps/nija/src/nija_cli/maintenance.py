"""Commands beside a running platform: the schema, the first administrator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from nija_auth.handlers.admins import CreateAdmin, create_admin
from nija_cli.endings import Failed
from nija_cli.environment import platform_settings, read_environment
from nija_cli.services import SERVICES, without_roles
from nija_common.errors import SettingsError
from nija_common.runtime.infrastructure import Infrastructure, open_infrastructure
from nija_common.runtime.key_encryption import KeyFile, sealer_of
from nija_common.runtime.node import Running, migrate, run_node, schema_differences
from nija_common.runtime.settings import PlatformSettings
from nija_common.telemetry.logging import configure_logging
from nija_common.values.clock import SystemClock


@asynccontextmanager
async def opened(service: str, data_dir: Path | None) -> AsyncIterator[tuple[Running, Infrastructure]]:
    """One service's deps on the platform of the settings, running or not; nothing of it runs here."""
    env = read_environment()
    settings = platform_settings(env, data_dir=data_dir)
    configure_logging("warning")
    clock = SystemClock()
    embedded = settings.store == "sqlite"
    async with open_infrastructure(settings, clock, second=embedded) as infrastructure:
        if embedded:
            await migrate(infrastructure, SERVICES)
        async with run_node(
            [without_roles(service, env)],
            settings=settings,
            clock=clock,
            infrastructure=infrastructure,
            sealer=sealer_of(settings, may_make=embedded),
        ) as node:
            yield node.running[service], infrastructure


async def make_schema(data_dir: Path | None) -> None:
    """`nija migrate`. Raises SettingsError for what it cannot put right: a topic's partitions are never changed."""
    env: Mapping[str, str] = read_environment()
    settings: PlatformSettings = platform_settings(env, data_dir=data_dir)
    configure_logging("warning")
    async with open_infrastructure(settings, SystemClock(), second=settings.store == "sqlite") as infrastructure:
        await migrate(infrastructure, SERVICES)
        left = await schema_differences(infrastructure, SERVICES)
    if left:
        raise SettingsError("this stays as it is, and must not (docs/runbooks/partition-count.md): " + "; ".join(left))
    print("topics, collections and indexes are in place")


async def create_administrator(email: str, password: str, data_dir: Path | None) -> None:
    """`nija admin create`. Raises NijaError for an e-mail or password that is refused."""
    async with opened("auth", data_dir) as (running, _):
        await create_admin(running.deps, CreateAdmin(email=email, password=password))
    print(f"{email} is an administrator")


def create_key(path: Path) -> None:
    """`nija admin create-key`. Raises Failed for a file that is there and has no key, OSError where it cannot be made."""
    file = KeyFile(path)
    made = file.make(0o400)
    try:
        file()
    except SettingsError as error:
        raise Failed(str(error)) from None
    print(f"{path}: {'made' if made else 'is there already'}")
