"""What the gateway does on its own: keeps sign-in keys fresh, and returns rate tokens that lie unused."""

from __future__ import annotations

from nija_common.runtime.manifest import Loop
from nija_gateway.deps import Deps


async def refresh_keys(deps: Deps) -> None:
    """Fetches auth's public keys: a key that auth has withdrawn stops being accepted. Known ones stay while auth is away."""
    await deps.tokens.refresh()


async def return_unused(deps: Deps) -> None:
    """Gives other replicas what this one has drawn and not used for a second."""
    await deps.windows.tidy()


LOOPS = (
    Loop("sign-in-keys", 60.0, refresh_keys, leased=False),
    Loop("unused-tokens", 0.5, return_unused, leased=False),
)
