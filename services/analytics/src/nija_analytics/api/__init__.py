"""How HTTP reaches analytics."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query, Request

from nija_analytics.deps import Deps


async def _deps(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps


DepsDep = Annotated[Deps, Depends(_deps)]

ModeQuery = Annotated[Literal["paper", "live"] | None, Query()]
"""Which ledger; left out: the one the bot last ran on."""
