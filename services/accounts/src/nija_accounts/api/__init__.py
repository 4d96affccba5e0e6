"""How HTTP reaches accounts."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from nija_accounts.deps import Deps


async def _deps(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps


DepsDep = Annotated[Deps, Depends(_deps)]
