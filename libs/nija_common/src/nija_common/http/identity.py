"""Who calls, for a service's routes: the bearer token verified again, whatever the gateway said.

Use `CallerDep` for any signed-in user and `AdminDep` for administrators. There is no identity header.

What routes depend on is always `async def`: FastAPI gives every other function a thread of its own for each request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends, Request

from nija_common.errors import ErrorCode, NijaError
from nija_common.http.request_context import CLIENT_ADDRESS_HEADER
from nija_common.security.tokens import Claims, TokenVerifier, bearer_token


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request came from, for the audit log."""

    address: str | None
    user_agent: str | None


async def caller(request: Request) -> Claims:
    """The verified claims. Raises TOKEN_INVALID, TOKEN_EXPIRED, SERVICE_UNAVAILABLE."""
    verifier: TokenVerifier = request.app.state.tokens
    claims = await verifier.verify(bearer_token(request.headers.get("authorization")))
    structlog.contextvars.bind_contextvars(user_id=claims.user_id)
    return claims


async def admin(claims: Annotated[Claims, Depends(caller)]) -> Claims:
    """The same, for administrators only. Raises UNAUTHORIZED."""
    if claims.role != "admin":
        raise NijaError(ErrorCode.UNAUTHORIZED, "Only administrators may do this.")
    return claims


async def client(request: Request) -> Client:
    """The client's address as the gateway saw it, and its user agent."""
    return Client(request.headers.get(CLIENT_ADDRESS_HEADER), request.headers.get("user-agent"))


CallerDep = Annotated[Claims, Depends(caller)]
AdminDep = Annotated[Claims, Depends(admin)]
ClientDep = Annotated[Client, Depends(client)]
