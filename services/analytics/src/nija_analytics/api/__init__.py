"""How HTTP reaches analytics."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from nija_analytics.deps import Deps


def _deps(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps


DepsDep = Annotated[Deps, Depends(_deps)]
