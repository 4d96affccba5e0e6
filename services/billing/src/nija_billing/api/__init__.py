"""How HTTP reaches billing."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from nija_billing.deps import Deps


async def _deps(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps


DepsDep = Annotated[Deps, Depends(_deps)]
