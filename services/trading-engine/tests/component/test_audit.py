"""What trading leaves for the audit log: every fill, and alerts that were refused."""

from __future__ import annotations

from typing import Any

from nija_common.events.deliveries import AuditRecorded
from nija_common.events.trading import TradeOpened


async def test_fills_and_refused_alerts_have_their_rows(engine: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.alert(key)
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
        await desk.alert(key, action="close")
        await desk.positions(0)

        async def rows(kind: str) -> list[AuditRecorded]:
            return [row for row in await desk.platform.emitted(AuditRecorded) if row.event_type == kind]

        (refused,) = await rows("alert_refused")
        assert refused.metadata == {"symbol": "BTC-USD", "action": "buy", "refused": "NOT_RUNNING"}
        (opened,) = await desk.platform.emitted(TradeOpened)
        bought, sold = await rows("trade_executed")
        assert (bought.metadata["side"], sold.metadata["side"]) == ("buy", "sell")
        assert bought.metadata["size_usd"] == round(float(opened.size_usd), 2)
        assert bought.metadata["trade_id"] == sold.metadata["trade_id"] == opened.trade_id
        assert (bought.metadata["symbol"], bought.metadata["broker"]) == (opened.symbol, opened.broker)
        assert len({bought.log_id, sold.log_id, refused.log_id}) == 3
