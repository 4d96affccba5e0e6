"""What notifier is made of here: the only place that constructs its adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nija_common.events.catalogue import codec
from nija_common.runtime.platform import Platform
from nija_common.runtime.settings import PlatformSettings
from nija_common.values.clock import Clock
from nija_notifier.adapters.history import BusHistory
from nija_notifier.adapters.mailers import FolderMailer, SmtpMailer, smtp_server
from nija_notifier.deps import Deps
from nija_notifier.domain.hub import Hub
from nija_notifier.ports import Mailer
from nija_notifier.settings import NotifierSettings
from nija_notifier.store import Circulars, Deliveries, Positions, Recipients


@asynccontextmanager
async def build(settings: NotifierSettings, platform: Platform, mailer: Mailer | None = None) -> AsyncIterator[Deps]:
    """The deps; nothing is opened that would have to be closed. `mailer` replaces the one that the settings name."""
    yield Deps(
        settings=settings,
        public_url=platform.settings.public_url,
        clock=platform.clock,
        work=platform.work,
        tokens=platform.tokens,
        sealer=platform.sealer,
        freshness=platform.freshness,
        draining=platform.draining,
        hub=Hub(),
        mailer=mailer or mailer_of(settings, platform.settings, platform.clock),
        positions=Positions(platform.storage),
        deliveries=Deliveries(platform.storage),
        recipients=Recipients(platform.storage),
        circulars=Circulars(platform.storage),
        history=BusHistory(platform.bus, codec(), platform.clock),
    )


def mailer_of(settings: NotifierSettings, shared: PlatformSettings, clock: Clock) -> Mailer:
    """SMTP where a server is named, else a folder. Raises SettingsError."""
    if shared.smtp_url is not None:
        return SmtpMailer(smtp_server(shared.smtp_url), settings.mail_from, clock)
    return FolderMailer(shared.mail_dir or shared.data_dir / "mail", settings.mail_from, clock)
