"""What the notifier counts of its sockets."""

from __future__ import annotations

from nija_common.events.trading import TradeOpened
from nija_common.testing.events import example_of
from nija_common.testing.measured import measured
from nija_common.testing.sockets import SocketServer, eventually
from nija_notifier.domain.hub import SOCKETS_A_USER, TOO_MANY


async def test_open_sockets_and_the_delivery_of_a_trade_are_measured(server: SocketServer) -> None:
    opened = measured("nija_sockets_open")
    delivered = measured("nija_socket_delivery_seconds_count")
    written = measured("nija_socket_messages_total", channel="trades")
    client = await server.signed_in("usr_a", "trades")
    assert measured("nija_sockets_open") == opened + 1
    await server.platform.given_events(example_of(TradeOpened, user_id="usr_a"))
    await client.until("trade_executed")
    await eventually(lambda: measured("nija_socket_messages_total", channel="trades") == written + 1, "it is counted")
    assert measured("nija_socket_delivery_seconds_count") == delivered + 1
    await client.connection.close()
    await eventually(lambda: measured("nija_sockets_open") == opened, "the socket is gone")


async def test_a_socket_too_many_is_counted_as_refused(server: SocketServer) -> None:
    before = measured("nija_rate_limit_refusals_total", limit="sockets")
    closed = measured("nija_socket_closes_total", code=str(TOO_MANY))
    for _ in range(SOCKETS_A_USER):
        await server.signed_in("usr_a")
    one_more = await server.connect()
    await one_more.sign_in(server.platform.token("usr_a"))
    assert await one_more.closed() == TOO_MANY
    assert measured("nija_rate_limit_refusals_total", limit="sockets") == before + 1
    assert measured("nija_socket_closes_total", code=str(TOO_MANY)) == closed + 1
