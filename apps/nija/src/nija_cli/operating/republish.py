"""`nija republish`: an owner tells the state of its entities again, beside a running platform or before it starts."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from nija_cli.endings import Failed, WrongUsage
from nija_cli.maintenance import opened
from nija_cli.services import SERVICES
from nija_common.runtime.manifest import Service, StateOf
from nija_common.runtime.republish import NotTold, republish, states_on
from nija_common.storage.outbox import LEASE


async def tell_again(name: str, topic: str, user: str | None, data_dir: Path | None) -> None:
    """`nija republish`; `user` None means all. Raises WrongUsage, Failed."""
    service = next((one for one in SERVICES if one.name == name), None)
    if service is None:
        raise WrongUsage(f"{name}: no such service; there are {', '.join(one.name for one in SERVICES)}")
    try:
        states = states_on(service, topic)
    except NotTold as error:
        raise WrongUsage(str(error)) from None
    told = await told_again(service, states, user, data_dir)
    if user is not None and not told:
        raise Failed(f"{name} keeps nothing of {user} to tell on {states[0].topic.name}")
    print(f"{states[0].topic.name}: {told} events, each with the next revision")


async def told_again(service: Service, states: tuple[StateOf, ...], user: str | None, data_dir: Path | None) -> int:
    """How many events; the progress goes to standard error, where that is a terminal."""
    console, told = Console(stderr=True), 0
    async with opened(service.name, data_dir) as (running, infrastructure):
        with console.status(f"{service.name}: …") as status:
            async for told in republish(states, running.storage, running.work, key=user):
                status.update(f"{service.name}: {told} events")
        if told and infrastructure.outbox_of(service.name) is not None and not await running.storage.leases(LEASE):
            print(f"{service.name} does not run: its events go out when it does")
    return told
