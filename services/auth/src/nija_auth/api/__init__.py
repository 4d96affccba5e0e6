"""How HTTP reaches auth."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from nija_auth.deps import Deps
from nija_auth.handlers.auditing import Origin
from nija_common.http.identity import ClientDep

LONGEST_AGENT = 300
"""Characters of a user agent that are kept."""


async def _deps(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps


async def _origin(client: ClientDep) -> Origin:
    return Origin(client.address, None if client.user_agent is None else client.user_agent[:LONGEST_AGENT])


DepsDep = Annotated[Deps, Depends(_deps)]
OriginDep = Annotated[Origin, Depends(_origin)]
