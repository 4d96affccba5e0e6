"""`/trading/*`: the bot, its emergency stop, single positions."""

from __future__ import annotations

from fastapi import APIRouter

from nija_common.errors import ErrorCode
from nija_common.http.identity import CallerDep, ClientDep
from nija_common.http.refusals import refusals
from nija_common.values.times import iso_or_none
from nija_trading.api.deps import DepsDep, actor_of
from nija_trading.handlers import bots, controls, positions
from nija_trading.schemas import (
    CloseAnswer,
    EmergencyStopAnswer,
    EmergencyStopBody,
    ResetAnswer,
    StartAnswer,
    StartBody,
    StatusAnswer,
    StopAnswer,
    StopBody,
)

router = APIRouter()


@router.post(
    "/api/v1/trading/start",
    responses=refusals(
        ErrorCode.UNSUPPORTED_BROKER,
        ErrorCode.INVALID_RISK_LEVEL,
        ErrorCode.ACCOUNT_SUSPENDED,
        ErrorCode.KILL_SWITCH_ACTIVE,
        ErrorCode.ALREADY_RUNNING,
        ErrorCode.SUBSCRIPTION_REQUIRED,
        ErrorCode.NO_BROKER_CONFIGURED,
    ),
)
async def start(body: StartBody, caller: CallerDep, client: ClientDep, deps: DepsDep) -> StartAnswer:
    """Start the bot; a worker brings it to `running`."""
    cmd = bots.StartBot(
        user_id=caller.user_id,
        registered_at_ms=caller.registered_at_ms,
        broker=body.broker,
        paper=body.paper_trading,
        risk_profile=body.risk_profile,
        strategy=body.strategy,
        by=actor_of(caller, client),
    )
    begun = await bots.start(deps, cmd)
    return StartAnswer(status=begun, message="Trading bot is starting", estimated_ready_in_seconds=bots.READY_IN_S)


@router.post("/api/v1/trading/stop", response_model_exclude_none=True, responses=refusals(ErrorCode.NOT_RUNNING))
async def stop(caller: CallerDep, client: ClientDep, deps: DepsDep, body: StopBody | None = None) -> StopAnswer:
    """Stop entries; positions stay guarded unless they are to be closed."""
    asked = body or StopBody()
    cmd = bots.StopBot(caller.user_id, asked.close_positions, asked.emergency, actor_of(caller, client))
    stopped = await deps.work.run(bots.stop_bot, deps, cmd, queue=caller.user_id)
    return StopAnswer(
        status="stopped",
        message="Trading bot stopped; positions are being closed" if stopped.closing else "Trading bot stopped",
        open_positions=stopped.open_positions,
        action_required="Manual position closure recommended"
        if stopped.open_positions and not stopped.closing
        else None,
    )


@router.get("/api/v1/trading/status")
async def status(caller: CallerDep, deps: DepsDep) -> StatusAnswer:
    """What the bot is doing."""
    view = await bots.bot_view(deps, caller.user_id)
    uptime = None if view.started_at_ms is None else max(0, deps.clock.now_ms() - view.started_at_ms) // 1000
    return StatusAnswer(
        status=view.status,
        uptime_seconds=uptime,
        broker=view.broker,
        paper_trading=view.paper,
        last_scan=iso_or_none(view.last_scan_ms),
        next_scan=iso_or_none(view.next_scan_ms),
        active_positions=view.positions,
        today_trades=view.today_trades,
        last_error=view.last_error,
        advanced=view.advanced,
    )


@router.post("/api/v1/trading/emergency-stop")
async def emergency_stop(
    caller: CallerDep, client: ClientDep, deps: DepsDep, body: EmergencyStopBody | None = None
) -> EmergencyStopAnswer:
    """The user's kill switch: once this has answered, no opening order of theirs leaves."""
    asked = body or EmergencyStopBody()
    cmd = controls.EmergencyStop(caller.user_id, asked.reason, asked.close_positions, actor_of(caller, client))
    halted = await controls.emergency_stop(deps, cmd)
    return EmergencyStopAnswer(
        status="emergency_stopped",
        positions_closed=halted.closed,
        positions_remaining=halted.remaining,
        message="Emergency stop activated",
    )


@router.post("/api/v1/trading/emergency-reset")
async def emergency_reset(caller: CallerDep, client: ClientDep, deps: DepsDep) -> ResetAnswer:
    """Lifts the user's kill switch; the bot stays stopped."""
    actor = actor_of(caller, client)
    lifted = await deps.work.run(controls.reset_own, deps, actor, queue=caller.user_id)
    message = "Emergency stop lifted; start the bot when you are ready" if lifted else "No emergency stop was active"
    view = await bots.bot_view(deps, caller.user_id)
    return ResetAnswer(status=view.status, message=message)


@router.post("/api/v1/trading/positions/{position_id}/close", responses=refusals(ErrorCode.POSITION_NOT_FOUND))
async def close_position(position_id: str, caller: CallerDep, client: ClientDep, deps: DepsDep) -> CloseAnswer:
    """Close one position at the market."""
    cmd = positions.ClosePosition(position_id, actor_of(caller, client))
    position = await deps.work.run(positions.close_position, deps, cmd, queue=caller.user_id)
    return CloseAnswer(position_id=position.id, trade_id=position.trade_id, status="closing")
