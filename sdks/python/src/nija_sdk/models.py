"""The objects of answers. Generated from the API document by `make sdks`; a test keeps it fresh."""

from __future__ import annotations

from typing import Any, Literal

from nija_sdk.records import Record


class AccountPart(Record):
    user_id: str
    subscription_tier: Literal["free", "basic", "pro", "enterprise"]
    account_age_days: int
    total_deposits: float
    total_withdrawals: float
    current_balance: float
    all_time_high: float
    all_time_low: float


class AdvancedSettings(Record):
    enable_meta_ai: bool
    enable_mmin: bool
    enable_gmig: bool
    execution_intelligence: bool


class AnalyticsUserAnswer(Record):
    user: UserDetails


class AuditLogsAnswer(Record):
    logs: list[LogEntry]
    pagination: Pagination


class AuthUserAnswer(Record):
    user_id: str
    email: str
    full_name: str
    subscription_tier: str


class BalanceAnswer(Record):
    broker: str
    paper: bool
    cash: float
    equity: float
    unrealized_pnl: float
    buying_power: float
    currency: str
    last_updated: str


class BestMonthPart(Record):
    month: str
    pnl: float
    pnl_pct: float


class BrokerConnectedAnswer(Record):
    broker_id: str
    message: str
    status: Literal["checking", "connected", "error"]


class BrokerRemovedAnswer(Record):
    message: str
    open_positions: int
    warning: str | None


class BrokerTestAnswer(Record):
    status: Literal["checking", "connected", "error"]
    latency_ms: int
    permissions: list[str]
    account_balance: float


class BrokerView(Record):
    broker_id: str
    name: str
    display_name: str
    status: Literal["checking", "connected", "error"]
    last_connected: str | None
    api_key_masked: str
    permissions: list[str]
    created_at: str


class BrokersAnswer(Record):
    brokers: list[BrokerView]


class CancelAnswer(Record):
    message: str
    cancel_at_period_end: bool
    access_until: str
    refund_amount: float


class CloseAnswer(Record):
    position_id: str
    trade_id: str
    status: str


class CurrentAnswer(Record):
    subscription_id: str | None
    tier: str
    interval: str | None
    status: str
    current_period_start: str | None
    current_period_end: str | None
    cancel_at_period_end: bool
    trial_active: bool
    trial_ends_at: str | None
    amount: float
    currency: str
    payment_method: PaymentMethodView | None
    next_billing_date: str | None
    next_billing_amount: float | None


class DailyEquity(Record):
    date: str
    equity: float


class DailyPnl(Record):
    date: str
    pnl: float


class DashboardAnswer(Record):
    today: StretchPart
    week: StretchPart
    month: StretchPart
    active_positions: int
    balance: float
    top_performer: TopPart | None


class DayPart(Record):
    day: str
    trades: int
    avg_pnl: float


class EmergencyStopAnswer(Record):
    status: str
    positions_closed: int
    positions_remaining: int
    message: str


class ExportAnswer(Record):
    download_url: str
    expires_at: str
    file_size_bytes: int


class HistoryAnswer(Record):
    trades: list[TradeAnswer]
    pagination: Pagination


class HourPart(Record):
    hour: int
    trades: int
    avg_pnl: float


class KillSwitchAnswer(Record):
    message: str
    affected_users: int
    active_positions: int
    timestamp: str


class LogEntry(Record):
    log_id: str
    event_type: str
    user_id: str
    actor: str
    ip_address: str | None
    user_agent: str | None
    metadata: Any
    timestamp: str


class LoginAnswer(Record):
    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    user: AuthUserAnswer


class MessageAnswer(Record):
    message: str


class Metrics(Record):
    total_trades: int
    winning_trades: int
    losing_trades: int
    win_rate: float | None
    total_pnl: float
    total_pnl_pct: float
    avg_win: float | None
    avg_loss: float | None
    largest_win: float | None
    largest_loss: float | None
    profit_factor: float | None
    sharpe_ratio: float | None
    max_drawdown: float
    max_drawdown_pct: float
    recovery_time_days: float | None
    avg_trade_duration_minutes: float | None
    total_fees: float
    net_pnl: float


class MetricsAnswer(Record):
    users: UserFigures
    trading: TradingFigures
    system: SystemFigures
    revenue: RevenueFigures


class MonthPart(Record):
    month: str
    trades: int
    avg_pnl: float


class NotificationSettings(Record):
    email_enabled: bool
    push_enabled: bool
    trade_notifications: bool
    daily_summary: bool
    weekly_report: bool


class OutcomePart(Record):
    wins: int
    losses: int
    win_rate: float | None


class Pagination(Record):
    page: int
    per_page: int
    total_items: int
    total_pages: int
    has_next: bool
    has_prev: bool


class PaymentMethodView(Record):
    type: str
    last4: str | None
    brand: str | None
    exp_month: int | None
    exp_year: int | None


class PerformanceAnswer(Record):
    period: str
    metrics: Metrics
    daily_pnl: list[DailyPnl]
    equity_curve: list[DailyEquity]


class PlanLimits(Record):
    max_position_size_usd: int
    max_positions: int
    max_daily_trades: int
    api_calls_per_minute: int


class PlanView(Record):
    tier: str
    name: str
    price_monthly: float
    price_yearly: float
    yearly_savings: float | None
    popular: bool | None
    features: list[str]
    limits: PlanLimits


class PlansAnswer(Record):
    plans: list[PlanView]


class PositionAnswer(Record):
    position_id: str
    symbol: str
    side: str
    entry_price: float
    current_price: float
    size_usd: float
    quantity: float
    unrealized_pnl: float
    unrealized_pnl_pct: float
    stop_loss: float | None
    take_profit: float | None
    opened_at: str
    broker: str
    paper: bool
    protected: bool


class PositionsAnswer(Record):
    positions: list[PositionAnswer]
    summary: PositionsSummary


class PositionsSummary(Record):
    total_positions: int
    total_value_usd: float
    total_unrealized_pnl: float
    total_unrealized_pnl_pct: float


class RefreshAnswer(Record):
    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int


class RegisteredAnswer(Record):
    user_id: str
    email: str
    full_name: str
    subscription_tier: str
    trial_active: bool
    trial_ends_at: str
    created_at: str


class ReleaseAnswer(Record):
    message: str
    timestamp: str


class ResetAnswer(Record):
    status: Literal["stopped", "starting", "running", "paused", "error"]
    message: str


class RevenueFigures(Record):
    mrr: float
    arr: float
    churn_rate: float | None


class RiskPart(Record):
    current_risk_level: Literal["low", "medium", "high"]
    max_position_size_usd: float
    max_positions: int
    current_leverage: float
    available_leverage: float


class SettingsAnswer(Record):
    trading: TradingSettings
    notifications: NotificationSettings
    advanced: AdvancedSettings


class StartAnswer(Record):
    status: Literal["stopped", "starting", "running", "paused", "error"]
    message: str
    estimated_ready_in_seconds: int


class StatsAnswer(Record):
    account: AccountPart
    trading: TradingPart
    risk: RiskPart


class StatusAnswer(Record):
    status: Literal["stopped", "starting", "running", "paused", "error"]
    uptime_seconds: int | None
    broker: str | None
    paper_trading: bool
    last_scan: str | None
    next_scan: str | None
    active_positions: int
    today_trades: int
    last_error: str | None
    advanced: Any


class StopAnswer(Record):
    status: Literal["stopped", "starting", "running", "paused", "error"]
    message: str
    open_positions: int
    action_required: str | None


class StreakPart(Record):
    type: Literal["winning", "losing"]
    count: int
    started: str


class StretchPart(Record):
    pnl: float
    pnl_pct: float
    trades: int
    win_rate: float | None


class SymbolPart(Record):
    symbol: str
    trades: int
    pnl: float


class SystemFigures(Record):
    api_requests_per_second: float | None
    avg_response_time_ms: float | None
    error_rate: float | None
    uptime_pct: float | None


class TopPart(Record):
    symbol: str
    pnl: float
    pnl_pct: float


class TradeAnswer(Record):
    trade_id: str
    status: str
    symbol: str
    side: str
    entry_price: float | None
    exit_price: float | None
    size_usd: float
    quantity: float
    realized_pnl: float | None
    realized_pnl_pct: float | None
    fees: float
    opened_at: str
    closed_at: str | None
    duration_minutes: int | None
    exit_reason: str | None
    reason: str | None
    source: str
    broker: str
    paper: bool


class TradePart(Record):
    trade_id: str
    symbol: str
    pnl: float
    pnl_pct: float


class TradesAnswer(Record):
    period: str
    total_trades: int
    by_outcome: OutcomePart
    by_symbol: list[SymbolPart]
    by_hour: list[HourPart]
    by_day: list[DayPart]
    by_week: list[WeekPart]
    by_month: list[MonthPart]
    avg_hold_time_minutes: float | None
    best_trade: TradePart | None
    worst_trade: TradePart | None


class TradingFigures(Record):
    bots_running: int
    total_positions: int
    total_volume_24h: float
    total_trades_24h: int


class TradingPart(Record):
    total_trades_all_time: int
    total_volume_usd: float
    total_fees_paid: float
    best_month: BestMonthPart | None
    current_streak: StreakPart | None


class TradingSettings(Record):
    risk_level: Literal["low", "medium", "high"]
    max_position_size_usd: float
    max_concurrent_positions: int
    max_daily_loss_usd: float
    allowed_pairs: list[str]
    paper_trading: bool


class UpdatedAnswer(Record):
    message: str
    updated_fields: list[str]


class UpgradeAnswer(Record):
    subscription_id: str
    message: str
    tier: str
    interval: str
    amount: float
    proration_credit: float
    amount_due_now: float
    effective_immediately: bool


class UsageAnswer(Record):
    period_start: str
    period_end: str
    usage: UsageView
    overage: bool
    warnings: list[str]


class UsageView(Record):
    api_calls: int
    api_calls_limit: int
    trades_executed: int
    trades_limit: int
    positions_opened: int
    max_concurrent_positions: int
    max_concurrent_positions_limit: int
    brokers_connected: int
    brokers_limit: int | None


class UserBroker(Record):
    name: str
    status: Literal["connected"]


class UserDetails(Record):
    user_id: str
    email: str
    full_name: str
    role: Literal["user", "admin"]
    status: Literal["active", "suspended", "disabled"]
    subscription: UserSubscription
    trading: UserTrading
    brokers: list[UserBroker]
    joined_at: str
    last_active: str | None


class UserFigures(Record):
    total: int
    active_today: int
    free: int
    basic: int
    pro: int
    enterprise: int


class UserRow(Record):
    user_id: str
    email: str
    full_name: str
    subscription_tier: Literal["free", "basic", "pro", "enterprise"]
    status: Literal["active", "suspended", "disabled"]
    total_trades: int
    total_pnl: float
    joined_at: str
    last_active: str | None


class UserSubscription(Record):
    tier: Literal["free", "basic", "pro", "enterprise"]
    status: Literal["none", "trialing", "active", "past_due", "cancelled"]
    started: str | None
    renews: str | None


class UserTrading(Record):
    total_trades: int
    total_pnl: float
    win_rate: float | None
    active_positions: int


class UsersAnswer(Record):
    users: list[UserRow]
    pagination: Pagination


class WebhookKeyAnswer(Record):
    webhook_key: str
    created_at: str


class WebhookKeyView(Record):
    webhook_key_masked: str
    created_at: str


class WeekPart(Record):
    week: str
    trades: int
    avg_pnl: float


AnalyticsUserAnswer._records = {"user": UserDetails}
AuditLogsAnswer._records = {"logs": LogEntry, "pagination": Pagination}
BrokersAnswer._records = {"brokers": BrokerView}
CurrentAnswer._records = {"payment_method": PaymentMethodView}
DashboardAnswer._records = {"today": StretchPart, "week": StretchPart, "month": StretchPart, "top_performer": TopPart}
HistoryAnswer._records = {"trades": TradeAnswer, "pagination": Pagination}
LoginAnswer._records = {"user": AuthUserAnswer}
MetricsAnswer._records = {
    "users": UserFigures,
    "trading": TradingFigures,
    "system": SystemFigures,
    "revenue": RevenueFigures,
}
PerformanceAnswer._records = {"metrics": Metrics, "daily_pnl": DailyPnl, "equity_curve": DailyEquity}
PlanView._records = {"limits": PlanLimits}
PlansAnswer._records = {"plans": PlanView}
PositionsAnswer._records = {"positions": PositionAnswer, "summary": PositionsSummary}
SettingsAnswer._records = {
    "trading": TradingSettings,
    "notifications": NotificationSettings,
    "advanced": AdvancedSettings,
}
StatsAnswer._records = {"account": AccountPart, "trading": TradingPart, "risk": RiskPart}
TradesAnswer._records = {
    "by_outcome": OutcomePart,
    "by_symbol": SymbolPart,
    "by_hour": HourPart,
    "by_day": DayPart,
    "by_week": WeekPart,
    "by_month": MonthPart,
    "best_trade": TradePart,
    "worst_trade": TradePart,
}
TradingPart._records = {"best_month": BestMonthPart, "current_streak": StreakPart}
UsageAnswer._records = {"usage": UsageView}
UserDetails._records = {"subscription": UserSubscription, "trading": UserTrading, "brokers": UserBroker}
UsersAnswer._records = {"users": UserRow, "pagination": Pagination}
