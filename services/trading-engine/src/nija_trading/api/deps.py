"""What routes are given."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from nija_common.http.identity import Client
from nija_common.security.tokens import Claims
from nija_trading.deps import Deps
from nija_trading.handlers.audit import Actor


async def deps_of(request: Request) -> Deps:
    """The deps of the app."""
    found = request.app.state.deps
    assert isinstance(found, Deps)
    return found


def actor_of(claims: Claims, client: Client) -> Actor:
    """Who asks, for the audit log."""
    return Actor(claims.user_id, client.address, client.user_agent)


DepsDep = Annotated[Deps, Depends(deps_of)]
