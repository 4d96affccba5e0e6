"""Routes of `/auth/*`, and auth's public keys."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Response

from nija_auth.api import DepsDep, OriginDep
from nija_auth.domain.sessions import ACCESS_SECONDS
from nija_auth.handlers import keys, passwords, registration, sessions, tiers
from nija_auth.schemas import (
    ChangePasswordRequest,
    ConfirmResetRequest,
    LoginAnswer,
    LoginRequest,
    LogoutRequest,
    MessageAnswer,
    RefreshAnswer,
    RefreshRequest,
    RegisteredAnswer,
    RegisterRequest,
    ResetRequest,
    UserAnswer,
)
from nija_common.errors import ErrorCode
from nija_common.http.identity import CallerDep
from nija_common.http.refusals import refusals
from nija_common.values.tiers import registration_defaults
from nija_common.values.times import iso

router = APIRouter()


@router.post(
    "/api/v1/auth/register",
    status_code=201,
    responses=refusals(
        ErrorCode.EMAIL_ALREADY_EXISTS, ErrorCode.INVALID_EMAIL, ErrorCode.WEAK_PASSWORD, ErrorCode.TERMS_NOT_ACCEPTED
    ),
)
async def register(body: RegisterRequest, deps: DepsDep, origin: OriginDep) -> RegisteredAnswer:
    """A new account, with a trial."""
    user = await registration.register(
        deps,
        registration.Register(
            email=body.email,
            password=body.password.get_secret_value(),
            full_name=body.full_name,
            accept_terms=body.accept_terms,
            origin=origin,
        ),
    )
    trial_ends_ms = registration_defaults(user.registered_at_ms)[-1].from_ms
    return RegisteredAnswer(
        user_id=user.id,
        email=user.email,
        full_name=user.full_name,
        subscription_tier="free",
        trial_active=True,
        trial_ends_at=iso(trial_ends_ms),
        created_at=iso(user.registered_at_ms),
    )


@router.post(
    "/api/v1/auth/login",
    responses=refusals(ErrorCode.INVALID_CREDENTIALS, ErrorCode.ACCOUNT_DISABLED, ErrorCode.ACCOUNT_SUSPENDED),
)
async def login(body: LoginRequest, deps: DepsDep, origin: OriginDep) -> LoginAnswer:
    """A new session."""
    signed_in = await sessions.log_in(
        deps, sessions.LogIn(email=body.email, password=body.password.get_secret_value(), origin=origin)
    )
    user = signed_in.user
    return LoginAnswer(
        access_token=signed_in.access_token,
        refresh_token=signed_in.refresh_token,
        expires_in=ACCESS_SECONDS,
        user=UserAnswer(
            user_id=user.id,
            email=user.email,
            full_name=user.full_name,
            subscription_tier=(await tiers.stored_tier(deps, user.id)).value,
        ),
    )


@router.post(
    "/api/v1/auth/refresh",
    responses=refusals(
        ErrorCode.TOKEN_EXPIRED, ErrorCode.TOKEN_INVALID, ErrorCode.ACCOUNT_DISABLED, ErrorCode.ACCOUNT_SUSPENDED
    ),
)
async def refresh(body: RefreshRequest, deps: DepsDep) -> RefreshAnswer:
    """A new access token for a session that stands."""
    token = await sessions.refresh(deps, body.refresh_token.get_secret_value())
    return RefreshAnswer(access_token=token, expires_in=ACCESS_SECONDS)


@router.post("/api/v1/auth/logout")
async def logout(
    deps: DepsDep, caller: CallerDep, origin: OriginDep, body: LogoutRequest | None = None
) -> MessageAnswer:
    """Ends the session, or every one."""
    command = sessions.LogOut(caller.user_id, caller.session_id, body is not None and body.revoke_all, origin)
    await deps.work.run(sessions.log_out, deps, command, queue=caller.user_id, published=True)
    return MessageAnswer(message="Logged out successfully")


@router.post("/api/v1/auth/reset-password")
async def reset_password(body: ResetRequest, deps: DepsDep, origin: OriginDep) -> MessageAnswer:
    """Answers alike whether there is such an account or not."""
    await deps.work.run(passwords.ask_reset, deps, passwords.AskReset(body.email, origin))
    return MessageAnswer(message="Password reset email sent")


@router.post(
    "/api/v1/auth/reset-password/confirm",
    responses=refusals(ErrorCode.TOKEN_INVALID, ErrorCode.TOKEN_EXPIRED, ErrorCode.WEAK_PASSWORD),
)
async def confirm_reset(body: ConfirmResetRequest, deps: DepsDep, origin: OriginDep) -> MessageAnswer:
    """Sets a new password with a mailed token."""
    command = passwords.ConfirmReset(
        token=body.token.get_secret_value(), new_password=body.new_password.get_secret_value(), origin=origin
    )
    await passwords.confirm_reset(deps, command)
    return MessageAnswer(message="Password changed successfully")


@router.put("/api/v1/auth/change-password", responses=refusals(ErrorCode.INVALID_CREDENTIALS, ErrorCode.WEAK_PASSWORD))
async def change_password(
    body: ChangePasswordRequest, deps: DepsDep, caller: CallerDep, origin: OriginDep
) -> MessageAnswer:
    """Ends every other session."""
    await passwords.change(
        deps,
        passwords.ChangePassword(
            user_id=caller.user_id,
            session_id=caller.session_id,
            current_password=body.current_password.get_secret_value(),
            new_password=body.new_password.get_secret_value(),
            origin=origin,
        ),
    )
    return MessageAnswer(message="Password changed successfully")


@router.get("/.well-known/jwks.json", include_in_schema=False)
async def jwks(deps: DepsDep) -> Response:
    """The public keys, as RFC 7517 has them: no envelope."""
    return Response(
        orjson.dumps(await keys.key_set(deps)),
        media_type="application/json",
        headers={"Cache-Control": "public, max-age=60"},
    )
