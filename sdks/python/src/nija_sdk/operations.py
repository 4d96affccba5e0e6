"""The operations, by group. Generated from the API document by `make sdks`; a test keeps it fresh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeVar

from nija_sdk.calls import OMITTED, Call, Omitted, made
from nija_sdk.models import (
    AnalyticsUserAnswer,
    AuditLogsAnswer,
    BalanceAnswer,
    BrokerConnectedAnswer,
    BrokerRemovedAnswer,
    BrokersAnswer,
    BrokerTestAnswer,
    CancelAnswer,
    CloseAnswer,
    CurrentAnswer,
    DashboardAnswer,
    EmergencyStopAnswer,
    ExportAnswer,
    HistoryAnswer,
    KillSwitchAnswer,
    LoginAnswer,
    MessageAnswer,
    MetricsAnswer,
    PerformanceAnswer,
    PlansAnswer,
    PositionsAnswer,
    RefreshAnswer,
    RegisteredAnswer,
    ReleaseAnswer,
    ResetAnswer,
    SettingsAnswer,
    StartAnswer,
    StatsAnswer,
    StatusAnswer,
    StopAnswer,
    TradesAnswer,
    UpdatedAnswer,
    UpgradeAnswer,
    UsageAnswer,
    UsersAnswer,
    WebhookKeyAnswer,
    WebhookKeyView,
)
from nija_sdk.records import Record

R = TypeVar("R", bound=Record)


class Caller(Protocol):
    def __call__(self, call: Call, kind: type[R]) -> R: ...


class AsyncCaller(Protocol):
    async def __call__(self, call: Call, kind: type[R]) -> R: ...


class Auth:
    """`/auth/*`."""

    def __init__(self, call: Caller) -> None:
        self._call = call

    def register(self, *, email: str, password: str, full_name: str, accept_terms: bool) -> RegisteredAnswer:
        """A new account, with a trial."""
        return self._call(
            made(
                "POST",
                "/auth/register",
                body={"email": email, "password": password, "full_name": full_name, "accept_terms": accept_terms},
            ),
            RegisteredAnswer,
        )

    def login(self, *, email: str, password: str) -> LoginAnswer:
        """A new session."""
        return self._call(made("POST", "/auth/login", body={"email": email, "password": password}), LoginAnswer)

    def refresh(self, *, refresh_token: str) -> RefreshAnswer:
        """A new access token for a session that stands."""
        return self._call(made("POST", "/auth/refresh", body={"refresh_token": refresh_token}), RefreshAnswer)

    def logout(self, *, revoke_all: bool | Omitted = OMITTED) -> MessageAnswer:
        """Ends the session, or every one."""
        return self._call(made("POST", "/auth/logout", body={"revoke_all": revoke_all}), MessageAnswer)

    def reset_password(self, *, email: str) -> MessageAnswer:
        """Answers alike whether there is such an account or not."""
        return self._call(made("POST", "/auth/reset-password", body={"email": email}), MessageAnswer)

    def confirm_reset_password(self, *, token: str, new_password: str) -> MessageAnswer:
        """Sets a new password with a mailed token."""
        return self._call(
            made("POST", "/auth/reset-password/confirm", body={"token": token, "new_password": new_password}),
            MessageAnswer,
        )

    def change_password(self, *, current_password: str, new_password: str) -> MessageAnswer:
        """Ends every other session."""
        return self._call(
            made(
                "PUT",
                "/auth/change-password",
                body={"current_password": current_password, "new_password": new_password},
            ),
            MessageAnswer,
        )


class Trading:
    """`/trading/*`."""

    def __init__(self, call: Caller) -> None:
        self._call = call

    def start(
        self,
        *,
        broker: str,
        paper_trading: bool | Omitted | None = OMITTED,
        risk_profile: str | Omitted | None = OMITTED,
        strategy: Literal["APEX_V72", "SIGNALS_ONLY"] | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> StartAnswer:
        """Start the bot; a worker brings it to `running`."""
        return self._call(
            made(
                "POST",
                "/trading/start",
                body={
                    "broker": broker,
                    "paper_trading": paper_trading,
                    "risk_profile": risk_profile,
                    "strategy": strategy,
                },
                idempotency_key=idempotency_key,
            ),
            StartAnswer,
        )

    def stop(
        self,
        *,
        close_positions: bool | Omitted = OMITTED,
        emergency: bool | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> StopAnswer:
        """Stop entries; positions stay guarded unless they are to be closed."""
        return self._call(
            made(
                "POST",
                "/trading/stop",
                body={"close_positions": close_positions, "emergency": emergency},
                idempotency_key=idempotency_key,
            ),
            StopAnswer,
        )

    def status(self) -> StatusAnswer:
        """What the bot is doing."""
        return self._call(made("GET", "/trading/status"), StatusAnswer)

    def emergency_stop(
        self,
        *,
        reason: str | Omitted = OMITTED,
        close_positions: bool | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> EmergencyStopAnswer:
        """The user's kill switch: once this has answered, no opening order of theirs leaves."""
        return self._call(
            made(
                "POST",
                "/trading/emergency-stop",
                body={"reason": reason, "close_positions": close_positions},
                idempotency_key=idempotency_key,
            ),
            EmergencyStopAnswer,
        )

    def emergency_reset(self, *, idempotency_key: str | None = None) -> ResetAnswer:
        """Lifts the user's kill switch; the bot stays stopped."""
        return self._call(made("POST", "/trading/emergency-reset", idempotency_key=idempotency_key), ResetAnswer)

    def close_position(self, position_id: str, *, idempotency_key: str | None = None) -> CloseAnswer:
        """Close one position at the market."""
        return self._call(
            made(
                "POST",
                "/trading/positions/{position_id}/close",
                ids={"position_id": position_id},
                idempotency_key=idempotency_key,
            ),
            CloseAnswer,
        )


class Account:
    """`/account/*`."""

    def __init__(self, call: Caller) -> None:
        self._call = call

    def balance(self, *, mode: Literal["paper", "live"] | Omitted = OMITTED) -> BalanceAnswer:
        """Cash, and equity at the last prices."""
        return self._call(made("GET", "/account/balance", query={"mode": mode}), BalanceAnswer)

    def positions(
        self,
        *,
        mode: Literal["paper", "live"] | Omitted = OMITTED,
        broker: str | Omitted = OMITTED,
        symbol: str | Omitted = OMITTED,
    ) -> PositionsAnswer:
        """Open positions at the last prices, and their sum."""
        return self._call(
            made("GET", "/account/positions", query={"mode": mode, "broker": broker, "symbol": symbol}), PositionsAnswer
        )

    def history(
        self,
        *,
        page: int | Omitted = OMITTED,
        per_page: int | Omitted = OMITTED,
        start_date: str | Omitted = OMITTED,
        end_date: str | Omitted = OMITTED,
        symbol: str | Omitted = OMITTED,
        status: Literal["open", "closed", "cancelled"] | Omitted = OMITTED,
        mode: Literal["paper", "live"] | Omitted = OMITTED,
    ) -> HistoryAnswer:
        """Trades by the time of their opening, newest first; pending ones only without a status."""
        return self._call(
            made(
                "GET",
                "/account/history",
                query={
                    "page": page,
                    "per_page": per_page,
                    "start_date": start_date,
                    "end_date": end_date,
                    "symbol": symbol,
                    "status": status,
                    "mode": mode,
                },
            ),
            HistoryAnswer,
        )

    def performance(
        self,
        *,
        period: Literal["7d", "30d", "90d", "1y", "all"] | Omitted = OMITTED,
        mode: Literal["paper", "live"] | Omitted = OMITTED,
    ) -> PerformanceAnswer:
        """Statistics of closed trades over whole UTC days."""
        return self._call(
            made("GET", "/account/performance", query={"period": period, "mode": mode}), PerformanceAnswer
        )

    def stats(self, *, mode: Literal["paper", "live"] | Omitted = OMITTED) -> StatsAnswer:
        """An account's whole time, and its limits of risk."""
        return self._call(made("GET", "/account/stats", query={"mode": mode}), StatsAnswer)


class Config:
    """`/config/*`."""

    def __init__(self, call: Caller) -> None:
        self._call = call

    def brokers(self) -> BrokersAnswer:
        """The caller's connections, oldest first; of a key only a mask."""
        return self._call(made("GET", "/config/brokers"), BrokersAnswer)

    def add_broker(
        self,
        *,
        broker: str,
        api_key: str,
        api_secret: str,
        additional_params: Mapping[str, Any] | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> BrokerConnectedAnswer:
        """Add a key: it is tried at the exchange first, and kept sealed only if it passes and may not withdraw."""
        return self._call(
            made(
                "POST",
                "/config/brokers",
                body={
                    "broker": broker,
                    "api_key": api_key,
                    "api_secret": api_secret,
                    "additional_params": additional_params,
                },
                idempotency_key=idempotency_key,
            ),
            BrokerConnectedAnswer,
        )

    def remove_broker(self, broker_id: str) -> BrokerRemovedAnswer:
        """Remove a connection: its key is destroyed, and a bot that trades live there stops."""
        return self._call(
            made("DELETE", "/config/brokers/{broker_id}", ids={"broker_id": broker_id}), BrokerRemovedAnswer
        )

    def test_broker(self, broker_id: str, *, idempotency_key: str | None = None) -> BrokerTestAnswer:
        """Try a connection's key at its exchange now."""
        return self._call(
            made(
                "POST",
                "/config/brokers/{broker_id}/test",
                ids={"broker_id": broker_id},
                idempotency_key=idempotency_key,
            ),
            BrokerTestAnswer,
        )

    def webhook_key(self) -> WebhookKeyView:
        """The key, masked."""
        return self._call(made("GET", "/config/webhook-key"), WebhookKeyView)

    def rotate_webhook_key(self, *, idempotency_key: str | None = None) -> WebhookKeyAnswer:
        """Make or rotate the key; this answer is the only one that shows it."""
        return self._call(made("POST", "/config/webhook-key", idempotency_key=idempotency_key), WebhookKeyAnswer)

    def settings(self) -> SettingsAnswer:
        """The settings in force: the lower of the user's value and the tier's limit."""
        return self._call(made("GET", "/config/settings"), SettingsAnswer)

    def update_settings(
        self,
        *,
        trading: Mapping[str, Any] | Omitted = OMITTED,
        notifications: Mapping[str, Any] | Omitted = OMITTED,
        advanced: Mapping[str, Any] | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> UpdatedAnswer:
        """Changes what the body names, all of it or nothing; answers once the other services can know."""
        return self._call(
            made(
                "PUT",
                "/config/settings",
                body={"trading": trading, "notifications": notifications, "advanced": advanced},
                idempotency_key=idempotency_key,
            ),
            UpdatedAnswer,
        )


class Subscription:
    """`/subscription/*`."""

    def __init__(self, call: Caller) -> None:
        self._call = call

    def plans(self) -> PlansAnswer:
        """All plans with their prices; open to everybody."""
        return self._call(made("GET", "/subscription/plans"), PlansAnswer)

    def current(self) -> CurrentAnswer:
        """The caller's subscription."""
        return self._call(made("GET", "/subscription/current"), CurrentAnswer)

    def upgrade(
        self,
        *,
        tier: Literal["basic", "pro", "enterprise"],
        interval: Literal["monthly", "yearly"],
        payment_method_id: str,
        idempotency_key: str | None = None,
    ) -> UpgradeAnswer:
        """Choose a plan: a higher one, or a year instead of a month, begins now; any other at the period's end."""
        return self._call(
            made(
                "POST",
                "/subscription/upgrade",
                body={"tier": tier, "interval": interval, "payment_method_id": payment_method_id},
                idempotency_key=idempotency_key,
            ),
            UpgradeAnswer,
        )

    def cancel(
        self,
        *,
        cancel_immediately: bool | Omitted = OMITTED,
        reason: str | Omitted | None = OMITTED,
        feedback: str | Omitted | None = OMITTED,
        idempotency_key: str | None = None,
    ) -> CancelAnswer:
        """Cancel at the period's end, or at once with a refund of what is left."""
        return self._call(
            made(
                "POST",
                "/subscription/cancel",
                body={"cancel_immediately": cancel_immediately, "reason": reason, "feedback": feedback},
                idempotency_key=idempotency_key,
            ),
            CancelAnswer,
        )

    def usage(self) -> UsageAnswer:
        """What the account has used in its running period."""
        return self._call(made("GET", "/subscription/usage"), UsageAnswer)


class Analytics:
    """`/analytics/*`."""

    def __init__(self, call: Caller) -> None:
        self._call = call

    def dashboard(self, *, mode: Literal["paper", "live"] | Omitted = OMITTED) -> DashboardAnswer:
        """Today, week and month at a glance."""
        return self._call(made("GET", "/analytics/dashboard", query={"mode": mode}), DashboardAnswer)

    def trades(
        self,
        *,
        period: Literal["7d", "30d", "90d", "1y", "all"] | Omitted = OMITTED,
        symbol: str | Omitted = OMITTED,
        group_by: Literal["day", "week", "month", "hour"] | Omitted = OMITTED,
        mode: Literal["paper", "live"] | Omitted = OMITTED,
    ) -> TradesAnswer:
        """A period's trades by outcome, symbol and time; with `symbol` every number is of that symbol."""
        return self._call(
            made(
                "GET",
                "/analytics/trades",
                query={"period": period, "symbol": symbol, "group_by": group_by, "mode": mode},
            ),
            TradesAnswer,
        )

    def export(
        self,
        *,
        data_type: Literal["trades", "positions", "performance"],
        mode: Literal["paper", "live"] | Omitted = OMITTED,
        format: Literal["csv", "json"] | Omitted = OMITTED,
        start_date: str | Omitted | None = OMITTED,
        end_date: str | Omitted | None = OMITTED,
        include_closed_positions: bool | Omitted = OMITTED,
        include_open_positions: bool | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> ExportAnswer:
        """Writes a file of the caller's own rows, and answers the link that opens it for an hour."""
        return self._call(
            made(
                "POST",
                "/analytics/export",
                query={"mode": mode},
                body={
                    "data_type": data_type,
                    "format": format,
                    "start_date": start_date,
                    "end_date": end_date,
                    "include_closed_positions": include_closed_positions,
                    "include_open_positions": include_open_positions,
                },
                idempotency_key=idempotency_key,
            ),
            ExportAnswer,
        )


class Admin:
    """`/admin/*`."""

    def __init__(self, call: Caller) -> None:
        self._call = call

    def update_user(
        self,
        user_id: str,
        *,
        subscription_tier: Literal["free", "basic", "pro", "enterprise"] | Omitted | None = OMITTED,
        status: Literal["active", "suspended", "disabled"] | Omitted | None = OMITTED,
        notes: str | Omitted | None = OMITTED,
        expires_at: str | Omitted | None = OMITTED,
        idempotency_key: str | None = None,
    ) -> MessageAnswer:
        """Changes the tier, the status, or adds a note; answers once the other services can know."""
        return self._call(
            made(
                "PUT",
                "/admin/users/{user_id}",
                ids={"user_id": user_id},
                body={
                    "subscription_tier": subscription_tier,
                    "status": status,
                    "notes": notes,
                    "expires_at": expires_at,
                },
                idempotency_key=idempotency_key,
            ),
            MessageAnswer,
        )

    def user(self, user_id: str) -> AnalyticsUserAnswer:
        """One account in full."""
        return self._call(made("GET", "/admin/users/{user_id}", ids={"user_id": user_id}), AnalyticsUserAnswer)

    def kill_switch(
        self,
        *,
        reason: str,
        close_all_positions: bool | Omitted = OMITTED,
        notify_users: bool | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> KillSwitchAnswer:
        """Stop all trading on the platform: once this has answered, no opening order leaves any worker."""
        return self._call(
            made(
                "POST",
                "/admin/kill-switch",
                body={"reason": reason, "close_all_positions": close_all_positions, "notify_users": notify_users},
                idempotency_key=idempotency_key,
            ),
            KillSwitchAnswer,
        )

    def release_kill_switch(self, *, reason: str | Omitted = OMITTED) -> ReleaseAnswer:
        """Release it; what it stopped stays stopped."""
        return self._call(made("DELETE", "/admin/kill-switch", query={"reason": reason}), ReleaseAnswer)

    def users(
        self,
        *,
        page: int | Omitted = OMITTED,
        per_page: int | Omitted = OMITTED,
        search: str | Omitted = OMITTED,
        tier: Literal["free", "basic", "pro", "enterprise"] | Omitted = OMITTED,
        status: Literal["active", "suspended", "disabled"] | Omitted = OMITTED,
    ) -> UsersAnswer:
        """All accounts, newest first, or those that a search finds."""
        return self._call(
            made(
                "GET",
                "/admin/users",
                query={"page": page, "per_page": per_page, "search": search, "tier": tier, "status": status},
            ),
            UsersAnswer,
        )

    def metrics(self) -> MetricsAnswer:
        """The platform's figures."""
        return self._call(made("GET", "/admin/metrics"), MetricsAnswer)

    def audit_logs(
        self,
        *,
        page: int | Omitted = OMITTED,
        per_page: int | Omitted = OMITTED,
        event_type: str | Omitted = OMITTED,
        user_id: str | Omitted = OMITTED,
        start_date: str | Omitted = OMITTED,
        end_date: str | Omitted = OMITTED,
    ) -> AuditLogsAnswer:
        """The audit log, newest first."""
        return self._call(
            made(
                "GET",
                "/admin/audit-logs",
                query={
                    "page": page,
                    "per_page": per_page,
                    "event_type": event_type,
                    "user_id": user_id,
                    "start_date": start_date,
                    "end_date": end_date,
                },
            ),
            AuditLogsAnswer,
        )


class Operations:
    """All groups."""

    def __init__(self, call: Caller) -> None:
        self.auth = Auth(call)
        self.trading = Trading(call)
        self.account = Account(call)
        self.config = Config(call)
        self.subscription = Subscription(call)
        self.analytics = Analytics(call)
        self.admin = Admin(call)


class AsyncAuth:
    """`/auth/*`."""

    def __init__(self, call: AsyncCaller) -> None:
        self._call = call

    async def register(self, *, email: str, password: str, full_name: str, accept_terms: bool) -> RegisteredAnswer:
        """A new account, with a trial."""
        return await self._call(
            made(
                "POST",
                "/auth/register",
                body={"email": email, "password": password, "full_name": full_name, "accept_terms": accept_terms},
            ),
            RegisteredAnswer,
        )

    async def login(self, *, email: str, password: str) -> LoginAnswer:
        """A new session."""
        return await self._call(made("POST", "/auth/login", body={"email": email, "password": password}), LoginAnswer)

    async def refresh(self, *, refresh_token: str) -> RefreshAnswer:
        """A new access token for a session that stands."""
        return await self._call(made("POST", "/auth/refresh", body={"refresh_token": refresh_token}), RefreshAnswer)

    async def logout(self, *, revoke_all: bool | Omitted = OMITTED) -> MessageAnswer:
        """Ends the session, or every one."""
        return await self._call(made("POST", "/auth/logout", body={"revoke_all": revoke_all}), MessageAnswer)

    async def reset_password(self, *, email: str) -> MessageAnswer:
        """Answers alike whether there is such an account or not."""
        return await self._call(made("POST", "/auth/reset-password", body={"email": email}), MessageAnswer)

    async def confirm_reset_password(self, *, token: str, new_password: str) -> MessageAnswer:
        """Sets a new password with a mailed token."""
        return await self._call(
            made("POST", "/auth/reset-password/confirm", body={"token": token, "new_password": new_password}),
            MessageAnswer,
        )

    async def change_password(self, *, current_password: str, new_password: str) -> MessageAnswer:
        """Ends every other session."""
        return await self._call(
            made(
                "PUT",
                "/auth/change-password",
                body={"current_password": current_password, "new_password": new_password},
            ),
            MessageAnswer,
        )


class AsyncTrading:
    """`/trading/*`."""

    def __init__(self, call: AsyncCaller) -> None:
        self._call = call

    async def start(
        self,
        *,
        broker: str,
        paper_trading: bool | Omitted | None = OMITTED,
        risk_profile: str | Omitted | None = OMITTED,
        strategy: Literal["APEX_V72", "SIGNALS_ONLY"] | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> StartAnswer:
        """Start the bot; a worker brings it to `running`."""
        return await self._call(
            made(
                "POST",
                "/trading/start",
                body={
                    "broker": broker,
                    "paper_trading": paper_trading,
                    "risk_profile": risk_profile,
                    "strategy": strategy,
                },
                idempotency_key=idempotency_key,
            ),
            StartAnswer,
        )

    async def stop(
        self,
        *,
        close_positions: bool | Omitted = OMITTED,
        emergency: bool | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> StopAnswer:
        """Stop entries; positions stay guarded unless they are to be closed."""
        return await self._call(
            made(
                "POST",
                "/trading/stop",
                body={"close_positions": close_positions, "emergency": emergency},
                idempotency_key=idempotency_key,
            ),
            StopAnswer,
        )

    async def status(self) -> StatusAnswer:
        """What the bot is doing."""
        return await self._call(made("GET", "/trading/status"), StatusAnswer)

    async def emergency_stop(
        self,
        *,
        reason: str | Omitted = OMITTED,
        close_positions: bool | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> EmergencyStopAnswer:
        """The user's kill switch: once this has answered, no opening order of theirs leaves."""
        return await self._call(
            made(
                "POST",
                "/trading/emergency-stop",
                body={"reason": reason, "close_positions": close_positions},
                idempotency_key=idempotency_key,
            ),
            EmergencyStopAnswer,
        )

    async def emergency_reset(self, *, idempotency_key: str | None = None) -> ResetAnswer:
        """Lifts the user's kill switch; the bot stays stopped."""
        return await self._call(made("POST", "/trading/emergency-reset", idempotency_key=idempotency_key), ResetAnswer)

    async def close_position(self, position_id: str, *, idempotency_key: str | None = None) -> CloseAnswer:
        """Close one position at the market."""
        return await self._call(
            made(
                "POST",
                "/trading/positions/{position_id}/close",
                ids={"position_id": position_id},
                idempotency_key=idempotency_key,
            ),
            CloseAnswer,
        )


class AsyncAccount:
    """`/account/*`."""

    def __init__(self, call: AsyncCaller) -> None:
        self._call = call

    async def balance(self, *, mode: Literal["paper", "live"] | Omitted = OMITTED) -> BalanceAnswer:
        """Cash, and equity at the last prices."""
        return await self._call(made("GET", "/account/balance", query={"mode": mode}), BalanceAnswer)

    async def positions(
        self,
        *,
        mode: Literal["paper", "live"] | Omitted = OMITTED,
        broker: str | Omitted = OMITTED,
        symbol: str | Omitted = OMITTED,
    ) -> PositionsAnswer:
        """Open positions at the last prices, and their sum."""
        return await self._call(
            made("GET", "/account/positions", query={"mode": mode, "broker": broker, "symbol": symbol}), PositionsAnswer
        )

    async def history(
        self,
        *,
        page: int | Omitted = OMITTED,
        per_page: int | Omitted = OMITTED,
        start_date: str | Omitted = OMITTED,
        end_date: str | Omitted = OMITTED,
        symbol: str | Omitted = OMITTED,
        status: Literal["open", "closed", "cancelled"] | Omitted = OMITTED,
        mode: Literal["paper", "live"] | Omitted = OMITTED,
    ) -> HistoryAnswer:
        """Trades by the time of their opening, newest first; pending ones only without a status."""
        return await self._call(
            made(
                "GET",
                "/account/history",
                query={
                    "page": page,
                    "per_page": per_page,
                    "start_date": start_date,
                    "end_date": end_date,
                    "symbol": symbol,
                    "status": status,
                    "mode": mode,
                },
            ),
            HistoryAnswer,
        )

    async def performance(
        self,
        *,
        period: Literal["7d", "30d", "90d", "1y", "all"] | Omitted = OMITTED,
        mode: Literal["paper", "live"] | Omitted = OMITTED,
    ) -> PerformanceAnswer:
        """Statistics of closed trades over whole UTC days."""
        return await self._call(
            made("GET", "/account/performance", query={"period": period, "mode": mode}), PerformanceAnswer
        )

    async def stats(self, *, mode: Literal["paper", "live"] | Omitted = OMITTED) -> StatsAnswer:
        """An account's whole time, and its limits of risk."""
        return await self._call(made("GET", "/account/stats", query={"mode": mode}), StatsAnswer)


class AsyncConfig:
    """`/config/*`."""

    def __init__(self, call: AsyncCaller) -> None:
        self._call = call

    async def brokers(self) -> BrokersAnswer:
        """The caller's connections, oldest first; of a key only a mask."""
        return await self._call(made("GET", "/config/brokers"), BrokersAnswer)

    async def add_broker(
        self,
        *,
        broker: str,
        api_key: str,
        api_secret: str,
        additional_params: Mapping[str, Any] | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> BrokerConnectedAnswer:
        """Add a key: it is tried at the exchange first, and kept sealed only if it passes and may not withdraw."""
        return await self._call(
            made(
                "POST",
                "/config/brokers",
                body={
                    "broker": broker,
                    "api_key": api_key,
                    "api_secret": api_secret,
                    "additional_params": additional_params,
                },
                idempotency_key=idempotency_key,
            ),
            BrokerConnectedAnswer,
        )

    async def remove_broker(self, broker_id: str) -> BrokerRemovedAnswer:
        """Remove a connection: its key is destroyed, and a bot that trades live there stops."""
        return await self._call(
            made("DELETE", "/config/brokers/{broker_id}", ids={"broker_id": broker_id}), BrokerRemovedAnswer
        )

    async def test_broker(self, broker_id: str, *, idempotency_key: str | None = None) -> BrokerTestAnswer:
        """Try a connection's key at its exchange now."""
        return await self._call(
            made(
                "POST",
                "/config/brokers/{broker_id}/test",
                ids={"broker_id": broker_id},
                idempotency_key=idempotency_key,
            ),
            BrokerTestAnswer,
        )

    async def webhook_key(self) -> WebhookKeyView:
        """The key, masked."""
        return await self._call(made("GET", "/config/webhook-key"), WebhookKeyView)

    async def rotate_webhook_key(self, *, idempotency_key: str | None = None) -> WebhookKeyAnswer:
        """Make or rotate the key; this answer is the only one that shows it."""
        return await self._call(made("POST", "/config/webhook-key", idempotency_key=idempotency_key), WebhookKeyAnswer)

    async def settings(self) -> SettingsAnswer:
        """The settings in force: the lower of the user's value and the tier's limit."""
        return await self._call(made("GET", "/config/settings"), SettingsAnswer)

    async def update_settings(
        self,
        *,
        trading: Mapping[str, Any] | Omitted = OMITTED,
        notifications: Mapping[str, Any] | Omitted = OMITTED,
        advanced: Mapping[str, Any] | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> UpdatedAnswer:
        """Changes what the body names, all of it or nothing; answers once the other services can know."""
        return await self._call(
            made(
                "PUT",
                "/config/settings",
                body={"trading": trading, "notifications": notifications, "advanced": advanced},
                idempotency_key=idempotency_key,
            ),
            UpdatedAnswer,
        )


class AsyncSubscription:
    """`/subscription/*`."""

    def __init__(self, call: AsyncCaller) -> None:
        self._call = call

    async def plans(self) -> PlansAnswer:
        """All plans with their prices; open to everybody."""
        return await self._call(made("GET", "/subscription/plans"), PlansAnswer)

    async def current(self) -> CurrentAnswer:
        """The caller's subscription."""
        return await self._call(made("GET", "/subscription/current"), CurrentAnswer)

    async def upgrade(
        self,
        *,
        tier: Literal["basic", "pro", "enterprise"],
        interval: Literal["monthly", "yearly"],
        payment_method_id: str,
        idempotency_key: str | None = None,
    ) -> UpgradeAnswer:
        """Choose a plan: a higher one, or a year instead of a month, begins now; any other at the period's end."""
        return await self._call(
            made(
                "POST",
                "/subscription/upgrade",
                body={"tier": tier, "interval": interval, "payment_method_id": payment_method_id},
                idempotency_key=idempotency_key,
            ),
            UpgradeAnswer,
        )

    async def cancel(
        self,
        *,
        cancel_immediately: bool | Omitted = OMITTED,
        reason: str | Omitted | None = OMITTED,
        feedback: str | Omitted | None = OMITTED,
        idempotency_key: str | None = None,
    ) -> CancelAnswer:
        """Cancel at the period's end, or at once with a refund of what is left."""
        return await self._call(
            made(
                "POST",
                "/subscription/cancel",
                body={"cancel_immediately": cancel_immediately, "reason": reason, "feedback": feedback},
                idempotency_key=idempotency_key,
            ),
            CancelAnswer,
        )

    async def usage(self) -> UsageAnswer:
        """What the account has used in its running period."""
        return await self._call(made("GET", "/subscription/usage"), UsageAnswer)


class AsyncAnalytics:
    """`/analytics/*`."""

    def __init__(self, call: AsyncCaller) -> None:
        self._call = call

    async def dashboard(self, *, mode: Literal["paper", "live"] | Omitted = OMITTED) -> DashboardAnswer:
        """Today, week and month at a glance."""
        return await self._call(made("GET", "/analytics/dashboard", query={"mode": mode}), DashboardAnswer)

    async def trades(
        self,
        *,
        period: Literal["7d", "30d", "90d", "1y", "all"] | Omitted = OMITTED,
        symbol: str | Omitted = OMITTED,
        group_by: Literal["day", "week", "month", "hour"] | Omitted = OMITTED,
        mode: Literal["paper", "live"] | Omitted = OMITTED,
    ) -> TradesAnswer:
        """A period's trades by outcome, symbol and time; with `symbol` every number is of that symbol."""
        return await self._call(
            made(
                "GET",
                "/analytics/trades",
                query={"period": period, "symbol": symbol, "group_by": group_by, "mode": mode},
            ),
            TradesAnswer,
        )

    async def export(
        self,
        *,
        data_type: Literal["trades", "positions", "performance"],
        mode: Literal["paper", "live"] | Omitted = OMITTED,
        format: Literal["csv", "json"] | Omitted = OMITTED,
        start_date: str | Omitted | None = OMITTED,
        end_date: str | Omitted | None = OMITTED,
        include_closed_positions: bool | Omitted = OMITTED,
        include_open_positions: bool | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> ExportAnswer:
        """Writes a file of the caller's own rows, and answers the link that opens it for an hour."""
        return await self._call(
            made(
                "POST",
                "/analytics/export",
                query={"mode": mode},
                body={
                    "data_type": data_type,
                    "format": format,
                    "start_date": start_date,
                    "end_date": end_date,
                    "include_closed_positions": include_closed_positions,
                    "include_open_positions": include_open_positions,
                },
                idempotency_key=idempotency_key,
            ),
            ExportAnswer,
        )


class AsyncAdmin:
    """`/admin/*`."""

    def __init__(self, call: AsyncCaller) -> None:
        self._call = call

    async def update_user(
        self,
        user_id: str,
        *,
        subscription_tier: Literal["free", "basic", "pro", "enterprise"] | Omitted | None = OMITTED,
        status: Literal["active", "suspended", "disabled"] | Omitted | None = OMITTED,
        notes: str | Omitted | None = OMITTED,
        expires_at: str | Omitted | None = OMITTED,
        idempotency_key: str | None = None,
    ) -> MessageAnswer:
        """Changes the tier, the status, or adds a note; answers once the other services can know."""
        return await self._call(
            made(
                "PUT",
                "/admin/users/{user_id}",
                ids={"user_id": user_id},
                body={
                    "subscription_tier": subscription_tier,
                    "status": status,
                    "notes": notes,
                    "expires_at": expires_at,
                },
                idempotency_key=idempotency_key,
            ),
            MessageAnswer,
        )

    async def user(self, user_id: str) -> AnalyticsUserAnswer:
        """One account in full."""
        return await self._call(made("GET", "/admin/users/{user_id}", ids={"user_id": user_id}), AnalyticsUserAnswer)

    async def kill_switch(
        self,
        *,
        reason: str,
        close_all_positions: bool | Omitted = OMITTED,
        notify_users: bool | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> KillSwitchAnswer:
        """Stop all trading on the platform: once this has answered, no opening order leaves any worker."""
        return await self._call(
            made(
                "POST",
                "/admin/kill-switch",
                body={"reason": reason, "close_all_positions": close_all_positions, "notify_users": notify_users},
                idempotency_key=idempotency_key,
            ),
            KillSwitchAnswer,
        )

    async def release_kill_switch(self, *, reason: str | Omitted = OMITTED) -> ReleaseAnswer:
        """Release it; what it stopped stays stopped."""
        return await self._call(made("DELETE", "/admin/kill-switch", query={"reason": reason}), ReleaseAnswer)

    async def users(
        self,
        *,
        page: int | Omitted = OMITTED,
        per_page: int | Omitted = OMITTED,
        search: str | Omitted = OMITTED,
        tier: Literal["free", "basic", "pro", "enterprise"] | Omitted = OMITTED,
        status: Literal["active", "suspended", "disabled"] | Omitted = OMITTED,
    ) -> UsersAnswer:
        """All accounts, newest first, or those that a search finds."""
        return await self._call(
            made(
                "GET",
                "/admin/users",
                query={"page": page, "per_page": per_page, "search": search, "tier": tier, "status": status},
            ),
            UsersAnswer,
        )

    async def metrics(self) -> MetricsAnswer:
        """The platform's figures."""
        return await self._call(made("GET", "/admin/metrics"), MetricsAnswer)

    async def audit_logs(
        self,
        *,
        page: int | Omitted = OMITTED,
        per_page: int | Omitted = OMITTED,
        event_type: str | Omitted = OMITTED,
        user_id: str | Omitted = OMITTED,
        start_date: str | Omitted = OMITTED,
        end_date: str | Omitted = OMITTED,
    ) -> AuditLogsAnswer:
        """The audit log, newest first."""
        return await self._call(
            made(
                "GET",
                "/admin/audit-logs",
                query={
                    "page": page,
                    "per_page": per_page,
                    "event_type": event_type,
                    "user_id": user_id,
                    "start_date": start_date,
                    "end_date": end_date,
                },
            ),
            AuditLogsAnswer,
        )


class AsyncOperations:
    """All groups."""

    def __init__(self, call: AsyncCaller) -> None:
        self.auth = AsyncAuth(call)
        self.trading = AsyncTrading(call)
        self.account = AsyncAccount(call)
        self.config = AsyncConfig(call)
        self.subscription = AsyncSubscription(call)
        self.analytics = AsyncAnalytics(call)
        self.admin = AsyncAdmin(call)
