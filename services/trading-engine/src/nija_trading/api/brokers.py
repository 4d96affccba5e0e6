"""`/config/brokers*`: a user's connections to exchanges."""

from __future__ import annotations

from fastapi import APIRouter

from nija_common.errors import ErrorCode
from nija_common.http.identity import CallerDep, ClientDep
from nija_common.http.refusals import refusals
from nija_common.values.money import usd
from nija_common.values.times import iso, iso_or_none
from nija_trading.api.deps import DepsDep, actor_of
from nija_trading.domain.connections import EXCHANGES, BrokerConnection, Credentials
from nija_trading.handlers import connections
from nija_trading.schemas import (
    BrokerBody,
    BrokerConnectedAnswer,
    BrokerRemovedAnswer,
    BrokersAnswer,
    BrokerTestAnswer,
    BrokerView,
)

router = APIRouter()


@router.get("/api/v1/config/brokers", responses=refusals())
async def brokers(caller: CallerDep, deps: DepsDep) -> BrokersAnswer:
    """The caller's connections, oldest first; of a key only a mask."""
    return BrokersAnswer(brokers=[_view(row) for row in await connections.listed(deps, caller.user_id)])


@router.post(
    "/api/v1/config/brokers",
    status_code=201,
    responses=refusals(
        ErrorCode.INVALID_API_KEY,
        ErrorCode.UNSUPPORTED_BROKER,
        ErrorCode.BROKER_ALREADY_CONNECTED,
        ErrorCode.EXCEEDS_TIER_LIMIT,
        ErrorCode.BROKER_ERROR,
    ),
)
async def add_broker(body: BrokerBody, caller: CallerDep, client: ClientDep, deps: DepsDep) -> BrokerConnectedAnswer:
    """Add a key: it is tried at the exchange first, and kept sealed only if it passes and may not withdraw."""
    more = body.additional_params
    credentials = Credentials(
        broker=body.broker,
        api_key=body.api_key.get_secret_value(),
        api_secret=body.api_secret.get_secret_value(),
        password=more.password.get_secret_value() if more.password is not None else None,
        org_id=more.org_id,
        uid=more.uid,
        account_id=more.account_id,
    )
    cmd = connections.Connect(credentials, caller.registered_at_ms, actor_of(caller, client))
    connected = await connections.connect(deps, cmd)
    return BrokerConnectedAnswer(
        broker_id=connected.broker_id, message="Broker connected successfully", status="connected"
    )


@router.delete(
    "/api/v1/config/brokers/{broker_id}",
    response_model_exclude_none=True,
    responses=refusals(ErrorCode.NOT_FOUND),
)
async def remove_broker(broker_id: str, caller: CallerDep, client: ClientDep, deps: DepsDep) -> BrokerRemovedAnswer:
    """Remove a connection: its key is destroyed, and a bot that trades live there stops."""
    cmd = connections.OwnConnection(broker_id, actor_of(caller, client))
    removed = await deps.work.run(connections.remove, deps, cmd, queue=caller.user_id)
    return BrokerRemovedAnswer(
        message="Broker removed successfully",
        open_positions=removed.open_positions,
        warning="Open positions are not guarded from here any more. Close them at the exchange."
        if removed.open_positions
        else None,
    )


@router.post(
    "/api/v1/config/brokers/{broker_id}/test",
    responses=refusals(ErrorCode.NOT_FOUND, ErrorCode.INVALID_API_KEY, ErrorCode.BROKER_ERROR),
)
async def test_broker(broker_id: str, caller: CallerDep, client: ClientDep, deps: DepsDep) -> BrokerTestAnswer:
    """Try a connection's key at its exchange now."""
    found = await connections.test(deps, connections.OwnConnection(broker_id, actor_of(caller, client)))
    return BrokerTestAnswer(
        status="connected",
        latency_ms=found.latency_ms,
        permissions=list(found.permissions),
        account_balance=usd(found.cash),
    )


def _view(connection: BrokerConnection) -> BrokerView:
    return BrokerView(
        broker_id=connection.id,
        name=connection.broker,
        display_name=EXCHANGES[connection.broker],
        status=connection.status,
        last_connected=iso_or_none(connection.connected_at_ms),
        api_key_masked=connection.masked,
        permissions=list(connection.permissions),
        created_at=iso(connection.created_at_ms),
    )
