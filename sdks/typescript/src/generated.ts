// The operations and the objects of answers. Generated from the API document by `make sdks`; a test keeps it fresh.

import type { Caller, Names, WriteArguments } from './calls.js';

export interface AccountPart {
  user_id: string;
  subscription_tier: 'free' | 'basic' | 'pro' | 'enterprise';
  account_age_days: number;
  total_deposits: number;
  total_withdrawals: number;
  current_balance: number;
  all_time_high: number;
  all_time_low: number;
}

export interface AdvancedSettings {
  enable_meta_ai?: boolean;
  enable_mmin?: boolean;
  enable_gmig?: boolean;
  execution_intelligence?: boolean;
}

export interface AnalyticsUserAnswer {
  user: UserDetails;
}

export interface AuditLogsAnswer {
  logs: LogEntry[];
  pagination: Pagination;
}

export interface AuthUserAnswer {
  user_id: string;
  email: string;
  full_name: string;
  subscription_tier: string;
}

export interface BalanceAnswer {
  broker: string;
  paper: boolean;
  cash: number;
  equity: number;
  unrealized_pnl: number;
  buying_power: number;
  currency: string;
  last_updated: string;
}

export interface BestMonthPart {
  month: string;
  pnl: number;
  pnl_pct: number;
}

export interface BrokerConnectedAnswer {
  broker_id: string;
  message: string;
  status: 'checking' | 'connected' | 'error';
}

export interface BrokerRemovedAnswer {
  message: string;
  open_positions: number;
  warning?: string | null;
}

export interface BrokerTestAnswer {
  status: 'checking' | 'connected' | 'error';
  latency_ms: number;
  permissions: string[];
  account_balance: number;
}

export interface BrokerView {
  broker_id: string;
  name: string;
  display_name: string;
  status: 'checking' | 'connected' | 'error';
  last_connected: string | null;
  api_key_masked: string;
  permissions: string[];
  created_at: string;
}

export interface BrokersAnswer {
  brokers: BrokerView[];
}

export interface CancelAnswer {
  message: string;
  cancel_at_period_end: boolean;
  access_until: string;
  refund_amount: number;
}

export interface CloseAnswer {
  position_id: string;
  trade_id: string;
  status: string;
}

export interface CurrentAnswer {
  subscription_id: string | null;
  tier: string;
  interval: string | null;
  status: string;
  current_period_start: string | null;
  current_period_end: string | null;
  cancel_at_period_end: boolean;
  trial_active: boolean;
  trial_ends_at: string | null;
  amount: number;
  currency: string;
  payment_method: PaymentMethodView | null;
  next_billing_date: string | null;
  next_billing_amount: number | null;
}

export interface DailyEquity {
  date: string;
  equity: number;
}

export interface DailyPnl {
  date: string;
  pnl: number;
}

export interface DashboardAnswer {
  today: StretchPart;
  week: StretchPart;
  month: StretchPart;
  active_positions: number;
  balance: number;
  top_performer: TopPart | null;
}

export interface DayPart {
  day: string;
  trades: number;
  avg_pnl: number;
}

export interface EmergencyStopAnswer {
  status: string;
  positions_closed: number;
  positions_remaining: number;
  message: string;
}

export interface ExportAnswer {
  download_url: string;
  expires_at: string;
  file_size_bytes: number;
}

export interface HistoryAnswer {
  trades: TradeAnswer[];
  pagination: Pagination;
}

export interface HourPart {
  hour: number;
  trades: number;
  avg_pnl: number;
}

export interface KillSwitchAnswer {
  message: string;
  affected_users: number;
  active_positions: number;
  timestamp: string;
}

export interface LogEntry {
  log_id: string;
  event_type: string;
  user_id: string;
  actor: string;
  ip_address?: string | null;
  user_agent?: string | null;
  metadata: unknown;
  timestamp: string;
}

export interface LoginAnswer {
  access_token: string;
  refresh_token: string;
  token_type: 'Bearer';
  expires_in: number;
  user: AuthUserAnswer;
}

export interface MessageAnswer {
  message: string;
}

export interface Metrics {
  total_trades: number;
  winning_trades: number;
  losing_trades: number;
  win_rate: number | null;
  total_pnl: number;
  total_pnl_pct: number;
  avg_win: number | null;
  avg_loss: number | null;
  largest_win: number | null;
  largest_loss: number | null;
  profit_factor: number | null;
  sharpe_ratio: number | null;
  max_drawdown: number;
  max_drawdown_pct: number;
  recovery_time_days: number | null;
  avg_trade_duration_minutes: number | null;
  total_fees: number;
  net_pnl: number;
}

export interface MetricsAnswer {
  users: UserFigures;
  trading: TradingFigures;
  system: SystemFigures;
  revenue: RevenueFigures;
}

export interface MonthPart {
  month: string;
  trades: number;
  avg_pnl: number;
}

export interface NotificationSettings {
  email_enabled?: boolean;
  push_enabled?: boolean;
  trade_notifications?: boolean;
  daily_summary?: boolean;
  weekly_report?: boolean;
}

export interface OutcomePart {
  wins: number;
  losses: number;
  win_rate: number | null;
}

export interface Pagination {
  page: number;
  per_page: number;
  total_items: number;
  total_pages: number;
  has_next: boolean;
  has_prev: boolean;
}

export interface PaymentMethodView {
  type: string;
  last4: string | null;
  brand: string | null;
  exp_month: number | null;
  exp_year: number | null;
}

export interface PerformanceAnswer {
  period: string;
  metrics: Metrics;
  daily_pnl: DailyPnl[];
  equity_curve: DailyEquity[];
}

export interface PlanLimits {
  max_position_size_usd: number;
  max_positions: number;
  max_daily_trades: number;
  api_calls_per_minute: number;
}

export interface PlanView {
  tier: string;
  name: string;
  price_monthly: number;
  price_yearly: number;
  yearly_savings?: number | null;
  popular?: boolean | null;
  features: string[];
  limits: PlanLimits;
}

export interface PlansAnswer {
  plans: PlanView[];
}

export interface PositionAnswer {
  position_id: string;
  symbol: string;
  side: string;
  entry_price: number;
  current_price: number;
  size_usd: number;
  quantity: number;
  unrealized_pnl: number;
  unrealized_pnl_pct: number;
  stop_loss: number | null;
  take_profit: number | null;
  opened_at: string;
  broker: string;
  paper: boolean;
  protected: boolean;
}

export interface PositionsAnswer {
  positions: PositionAnswer[];
  summary: PositionsSummary;
}

export interface PositionsSummary {
  total_positions: number;
  total_value_usd: number;
  total_unrealized_pnl: number;
  total_unrealized_pnl_pct: number;
}

export interface RefreshAnswer {
  access_token: string;
  token_type: 'Bearer';
  expires_in: number;
}

export interface RegisteredAnswer {
  user_id: string;
  email: string;
  full_name: string;
  subscription_tier: string;
  trial_active: boolean;
  trial_ends_at: string;
  created_at: string;
}

export interface ReleaseAnswer {
  message: string;
  timestamp: string;
}

export interface ResetAnswer {
  status: 'stopped' | 'starting' | 'running' | 'paused' | 'error';
  message: string;
}

export interface RevenueFigures {
  mrr: number;
  arr: number;
  churn_rate: number | null;
}

export interface RiskPart {
  current_risk_level: 'low' | 'medium' | 'high';
  max_position_size_usd: number;
  max_positions: number;
  current_leverage: number;
  available_leverage: number;
}

export interface SettingsAnswer {
  trading: TradingSettings;
  notifications: NotificationSettings;
  advanced: AdvancedSettings;
}

export interface StartAnswer {
  status: 'stopped' | 'starting' | 'running' | 'paused' | 'error';
  message: string;
  estimated_ready_in_seconds: number;
}

export interface StatsAnswer {
  account: AccountPart;
  trading: TradingPart;
  risk: RiskPart;
}

export interface StatusAnswer {
  status: 'stopped' | 'starting' | 'running' | 'paused' | 'error';
  uptime_seconds: number | null;
  broker: string | null;
  paper_trading: boolean;
  last_scan: string | null;
  next_scan: string | null;
  active_positions: number;
  today_trades: number;
  last_error: string | null;
  advanced: unknown;
}

export interface StopAnswer {
  status: 'stopped' | 'starting' | 'running' | 'paused' | 'error';
  message: string;
  open_positions: number;
  action_required?: string | null;
}

export interface StreakPart {
  type: 'winning' | 'losing';
  count: number;
  started: string;
}

export interface StretchPart {
  pnl: number;
  pnl_pct: number;
  trades: number;
  win_rate: number | null;
}

export interface SymbolPart {
  symbol: string;
  trades: number;
  pnl: number;
}

export interface SystemFigures {
  api_requests_per_second: number | null;
  avg_response_time_ms: number | null;
  error_rate: number | null;
  uptime_pct: number | null;
}

export interface TopPart {
  symbol: string;
  pnl: number;
  pnl_pct: number;
}

export interface TradeAnswer {
  trade_id: string;
  status: string;
  symbol: string;
  side: string;
  entry_price: number | null;
  exit_price: number | null;
  size_usd: number;
  quantity: number;
  realized_pnl: number | null;
  realized_pnl_pct: number | null;
  fees: number;
  opened_at: string;
  closed_at: string | null;
  duration_minutes: number | null;
  exit_reason: string | null;
  reason: string | null;
  source: string;
  broker: string;
  paper: boolean;
}

export interface TradePart {
  trade_id: string;
  symbol: string;
  pnl: number;
  pnl_pct: number;
}

export interface TradesAnswer {
  period: string;
  total_trades: number;
  by_outcome: OutcomePart;
  by_symbol: SymbolPart[];
  by_hour: HourPart[];
  by_day?: DayPart[];
  by_week?: WeekPart[];
  by_month?: MonthPart[];
  avg_hold_time_minutes: number | null;
  best_trade: TradePart | null;
  worst_trade: TradePart | null;
}

export interface TradingFigures {
  bots_running: number;
  total_positions: number;
  total_volume_24h: number;
  total_trades_24h: number;
}

export interface TradingPart {
  total_trades_all_time: number;
  total_volume_usd: number;
  total_fees_paid: number;
  best_month: BestMonthPart | null;
  current_streak: StreakPart | null;
}

export interface TradingSettings {
  risk_level?: 'low' | 'medium' | 'high';
  max_position_size_usd?: number;
  max_concurrent_positions?: number;
  max_daily_loss_usd?: number;
  allowed_pairs?: string[];
  paper_trading?: boolean;
}

export interface UpdatedAnswer {
  message: string;
  updated_fields: string[];
}

export interface UpgradeAnswer {
  subscription_id: string;
  message: string;
  tier: string;
  interval: string;
  amount: number;
  proration_credit: number;
  amount_due_now: number;
  effective_immediately: boolean;
}

export interface UsageAnswer {
  period_start: string;
  period_end: string;
  usage: UsageView;
  overage: boolean;
  warnings: string[];
}

export interface UsageView {
  api_calls: number;
  api_calls_limit: number;
  trades_executed: number;
  trades_limit: number;
  positions_opened: number;
  max_concurrent_positions: number;
  max_concurrent_positions_limit: number;
  brokers_connected: number;
  brokers_limit: number | null;
}

export interface UserBroker {
  name: string;
  status: 'connected';
}

export interface UserDetails {
  user_id: string;
  email: string;
  full_name: string;
  role: 'user' | 'admin';
  status: 'active' | 'suspended' | 'disabled';
  subscription: UserSubscription;
  trading: UserTrading;
  brokers: UserBroker[];
  joined_at: string;
  last_active: string | null;
}

export interface UserFigures {
  total: number;
  active_today: number;
  free: number;
  basic: number;
  pro: number;
  enterprise: number;
}

export interface UserRow {
  user_id: string;
  email: string;
  full_name: string;
  subscription_tier: 'free' | 'basic' | 'pro' | 'enterprise';
  status: 'active' | 'suspended' | 'disabled';
  total_trades: number;
  total_pnl: number;
  joined_at: string;
  last_active: string | null;
}

export interface UserSubscription {
  tier: 'free' | 'basic' | 'pro' | 'enterprise';
  status: 'none' | 'trialing' | 'active' | 'past_due' | 'cancelled';
  started: string | null;
  renews: string | null;
}

export interface UserTrading {
  total_trades: number;
  total_pnl: number;
  win_rate: number | null;
  active_positions: number;
}

export interface UsersAnswer {
  users: UserRow[];
  pagination: Pagination;
}

export interface WebhookKeyAnswer {
  webhook_key: string;
  created_at: string;
}

export interface WebhookKeyView {
  webhook_key_masked: string;
  created_at: string;
}

export interface WeekPart {
  week: string;
  trades: number;
  avg_pnl: number;
}

export interface AdditionalParamsArgument {
  password?: string | null;
  orgId?: string | null;
  uid?: string | null;
  accountId?: string | null;
}

const additionalParamsNames: Names = {
  password: 'password',
  orgId: 'org_id',
  uid: 'uid',
  accountId: 'account_id',
};

export interface AdvancedChangeArgument {
  enableMetaAi?: boolean;
  enableMmin?: boolean;
  enableGmig?: boolean;
  executionIntelligence?: boolean;
}

const advancedChangeNames: Names = {
  enableMetaAi: 'enable_meta_ai',
  enableMmin: 'enable_mmin',
  enableGmig: 'enable_gmig',
  executionIntelligence: 'execution_intelligence',
};

export interface NotificationsChangeArgument {
  emailEnabled?: boolean;
  pushEnabled?: boolean;
  tradeNotifications?: boolean;
  dailySummary?: boolean;
  weeklyReport?: boolean;
}

const notificationsChangeNames: Names = {
  emailEnabled: 'email_enabled',
  pushEnabled: 'push_enabled',
  tradeNotifications: 'trade_notifications',
  dailySummary: 'daily_summary',
  weeklyReport: 'weekly_report',
};

export interface TradingChangeArgument {
  riskLevel?: 'low' | 'medium' | 'high';
  maxPositionSizeUsd?: number;
  maxConcurrentPositions?: number;
  maxDailyLossUsd?: number;
  allowedPairs?: readonly string[];
  paperTrading?: boolean;
}

const tradingChangeNames: Names = {
  riskLevel: 'risk_level',
  maxPositionSizeUsd: 'max_position_size_usd',
  maxConcurrentPositions: 'max_concurrent_positions',
  maxDailyLossUsd: 'max_daily_loss_usd',
  allowedPairs: 'allowed_pairs',
  paperTrading: 'paper_trading',
};

export interface AuthRegisterArguments {
  email: string;
  password: string;
  fullName: string;
  acceptTerms: boolean;
}

export interface AuthLoginArguments {
  email: string;
  password: string;
}

export interface AuthRefreshArguments {
  refreshToken: string;
}

export interface AuthLogoutArguments {
  revokeAll?: boolean;
}

export interface AuthResetPasswordArguments {
  email: string;
}

export interface AuthConfirmResetPasswordArguments {
  token: string;
  newPassword: string;
}

export interface AuthChangePasswordArguments {
  currentPassword: string;
  newPassword: string;
}

/** `/auth/*`. */
export class AuthOperations {
  readonly #call: Caller;

  constructor(call: Caller) {
    this.#call = call;
  }

  /** A new account, with a trial. */
  register(given: AuthRegisterArguments): Promise<RegisteredAnswer> {
    return this.#call({
      name: 'auth.register',
      http: 'POST',
      path: '/auth/register',
      body: {
        email: 'email',
        password: 'password',
        fullName: 'full_name',
        acceptTerms: 'accept_terms',
      },
      given,
    });
  }

  /** A new session. */
  login(given: AuthLoginArguments): Promise<LoginAnswer> {
    return this.#call({
      name: 'auth.login',
      http: 'POST',
      path: '/auth/login',
      body: {
        email: 'email',
        password: 'password',
      },
      given,
    });
  }

  /** A new access token for a session that stands. */
  refresh(given: AuthRefreshArguments): Promise<RefreshAnswer> {
    return this.#call({
      name: 'auth.refresh',
      http: 'POST',
      path: '/auth/refresh',
      body: {
        refreshToken: 'refresh_token',
      },
      given,
    });
  }

  /** Ends the session, or every one. */
  logout(given: AuthLogoutArguments = {}): Promise<MessageAnswer> {
    return this.#call({
      name: 'auth.logout',
      http: 'POST',
      path: '/auth/logout',
      body: {
        revokeAll: 'revoke_all',
      },
      given,
    });
  }

  /** Answers alike whether there is such an account or not. */
  resetPassword(given: AuthResetPasswordArguments): Promise<MessageAnswer> {
    return this.#call({
      name: 'auth.resetPassword',
      http: 'POST',
      path: '/auth/reset-password',
      body: {
        email: 'email',
      },
      given,
    });
  }

  /** Sets a new password with a mailed token. */
  confirmResetPassword(given: AuthConfirmResetPasswordArguments): Promise<MessageAnswer> {
    return this.#call({
      name: 'auth.confirmResetPassword',
      http: 'POST',
      path: '/auth/reset-password/confirm',
      body: {
        token: 'token',
        newPassword: 'new_password',
      },
      given,
    });
  }

  /** Ends every other session. */
  changePassword(given: AuthChangePasswordArguments): Promise<MessageAnswer> {
    return this.#call({
      name: 'auth.changePassword',
      http: 'PUT',
      path: '/auth/change-password',
      body: {
        currentPassword: 'current_password',
        newPassword: 'new_password',
      },
      given,
    });
  }
}

export interface TradingStartArguments extends WriteArguments {
  broker: string;
  paperTrading?: boolean | null;
  riskProfile?: string | null;
  strategy?: 'APEX_V72' | 'SIGNALS_ONLY';
}

export interface TradingStopArguments extends WriteArguments {
  closePositions?: boolean;
  emergency?: boolean;
}

export interface TradingEmergencyStopArguments extends WriteArguments {
  reason?: string;
  closePositions?: boolean;
}

/** `/trading/*`. */
export class TradingOperations {
  readonly #call: Caller;

  constructor(call: Caller) {
    this.#call = call;
  }

  /** Start the bot; a worker brings it to `running`. */
  start(given: TradingStartArguments): Promise<StartAnswer> {
    return this.#call({
      name: 'trading.start',
      http: 'POST',
      path: '/trading/start',
      body: {
        broker: 'broker',
        paperTrading: 'paper_trading',
        riskProfile: 'risk_profile',
        strategy: 'strategy',
      },
      given,
      takesKey: true,
    });
  }

  /** Stop entries; positions stay guarded unless they are to be closed. */
  stop(given: TradingStopArguments = {}): Promise<StopAnswer> {
    return this.#call({
      name: 'trading.stop',
      http: 'POST',
      path: '/trading/stop',
      body: {
        closePositions: 'close_positions',
        emergency: 'emergency',
      },
      given,
      takesKey: true,
    });
  }

  /** What the bot is doing. */
  status(): Promise<StatusAnswer> {
    return this.#call({
      name: 'trading.status',
      http: 'GET',
      path: '/trading/status',
    });
  }

  /** The user's kill switch: once this has answered, no opening order of theirs leaves. */
  emergencyStop(given: TradingEmergencyStopArguments = {}): Promise<EmergencyStopAnswer> {
    return this.#call({
      name: 'trading.emergencyStop',
      http: 'POST',
      path: '/trading/emergency-stop',
      body: {
        reason: 'reason',
        closePositions: 'close_positions',
      },
      given,
      takesKey: true,
    });
  }

  /** Lifts the user's kill switch; the bot stays stopped. */
  emergencyReset(given: WriteArguments = {}): Promise<ResetAnswer> {
    return this.#call({
      name: 'trading.emergencyReset',
      http: 'POST',
      path: '/trading/emergency-reset',
      given,
      takesKey: true,
    });
  }

  /** Close one position at the market. */
  closePosition(positionId: string, given: WriteArguments = {}): Promise<CloseAnswer> {
    return this.#call({
      name: 'trading.closePosition',
      http: 'POST',
      path: '/trading/positions/{position_id}/close',
      ids: [positionId],
      given,
      takesKey: true,
    });
  }
}

export interface AccountBalanceArguments {
  mode?: 'paper' | 'live';
}

export interface AccountPositionsArguments {
  mode?: 'paper' | 'live';
  broker?: string;
  symbol?: string;
}

export interface AccountHistoryArguments {
  page?: number;
  perPage?: number;
  startDate?: string;
  endDate?: string;
  symbol?: string;
  status?: 'open' | 'closed' | 'cancelled';
  mode?: 'paper' | 'live';
}

export interface AccountPerformanceArguments {
  period?: '7d' | '30d' | '90d' | '1y' | 'all';
  mode?: 'paper' | 'live';
}

export interface AccountStatsArguments {
  mode?: 'paper' | 'live';
}

/** `/account/*`. */
export class AccountOperations {
  readonly #call: Caller;

  constructor(call: Caller) {
    this.#call = call;
  }

  /** Cash, and equity at the last prices. */
  balance(given: AccountBalanceArguments = {}): Promise<BalanceAnswer> {
    return this.#call({
      name: 'account.balance',
      http: 'GET',
      path: '/account/balance',
      query: {
        mode: 'mode',
      },
      given,
    });
  }

  /** Open positions at the last prices, and their sum. */
  positions(given: AccountPositionsArguments = {}): Promise<PositionsAnswer> {
    return this.#call({
      name: 'account.positions',
      http: 'GET',
      path: '/account/positions',
      query: {
        mode: 'mode',
        broker: 'broker',
        symbol: 'symbol',
      },
      given,
    });
  }

  /** Trades by the time of their opening, newest first; pending ones only without a status. */
  history(given: AccountHistoryArguments = {}): Promise<HistoryAnswer> {
    return this.#call({
      name: 'account.history',
      http: 'GET',
      path: '/account/history',
      query: {
        page: 'page',
        perPage: 'per_page',
        startDate: 'start_date',
        endDate: 'end_date',
        symbol: 'symbol',
        status: 'status',
        mode: 'mode',
      },
      given,
    });
  }

  /** Statistics of closed trades over whole UTC days. */
  performance(given: AccountPerformanceArguments = {}): Promise<PerformanceAnswer> {
    return this.#call({
      name: 'account.performance',
      http: 'GET',
      path: '/account/performance',
      query: {
        period: 'period',
        mode: 'mode',
      },
      given,
    });
  }

  /** An account's whole time, and its limits of risk. */
  stats(given: AccountStatsArguments = {}): Promise<StatsAnswer> {
    return this.#call({
      name: 'account.stats',
      http: 'GET',
      path: '/account/stats',
      query: {
        mode: 'mode',
      },
      given,
    });
  }
}

export interface ConfigAddBrokerArguments extends WriteArguments {
  broker: string;
  apiKey: string;
  apiSecret: string;
  additionalParams?: AdditionalParamsArgument;
}

export interface ConfigUpdateSettingsArguments extends WriteArguments {
  trading?: TradingChangeArgument;
  notifications?: NotificationsChangeArgument;
  advanced?: AdvancedChangeArgument;
}

/** `/config/*`. */
export class ConfigOperations {
  readonly #call: Caller;

  constructor(call: Caller) {
    this.#call = call;
  }

  /** The caller's connections, oldest first; of a key only a mask. */
  brokers(): Promise<BrokersAnswer> {
    return this.#call({
      name: 'config.brokers',
      http: 'GET',
      path: '/config/brokers',
    });
  }

  /** Add a key: it is tried at the exchange first, and kept sealed only if it passes and may not withdraw. */
  addBroker(given: ConfigAddBrokerArguments): Promise<BrokerConnectedAnswer> {
    return this.#call({
      name: 'config.addBroker',
      http: 'POST',
      path: '/config/brokers',
      body: {
        broker: 'broker',
        apiKey: 'api_key',
        apiSecret: 'api_secret',
        additionalParams: ['additional_params', additionalParamsNames],
      },
      given,
      takesKey: true,
    });
  }

  /** Remove a connection: its key is destroyed, and a bot that trades live there stops. */
  removeBroker(brokerId: string): Promise<BrokerRemovedAnswer> {
    return this.#call({
      name: 'config.removeBroker',
      http: 'DELETE',
      path: '/config/brokers/{broker_id}',
      ids: [brokerId],
    });
  }

  /** Try a connection's key at its exchange now. */
  testBroker(brokerId: string, given: WriteArguments = {}): Promise<BrokerTestAnswer> {
    return this.#call({
      name: 'config.testBroker',
      http: 'POST',
      path: '/config/brokers/{broker_id}/test',
      ids: [brokerId],
      given,
      takesKey: true,
    });
  }

  /** The key, masked. */
  webhookKey(): Promise<WebhookKeyView> {
    return this.#call({
      name: 'config.webhookKey',
      http: 'GET',
      path: '/config/webhook-key',
    });
  }

  /** Make or rotate the key; this answer is the only one that shows it. */
  rotateWebhookKey(given: WriteArguments = {}): Promise<WebhookKeyAnswer> {
    return this.#call({
      name: 'config.rotateWebhookKey',
      http: 'POST',
      path: '/config/webhook-key',
      given,
      takesKey: true,
    });
  }

  /** The settings in force: the lower of the user's value and the tier's limit. */
  settings(): Promise<SettingsAnswer> {
    return this.#call({
      name: 'config.settings',
      http: 'GET',
      path: '/config/settings',
    });
  }

  /** Changes what the body names, all of it or nothing; answers once the other services can know. */
  updateSettings(given: ConfigUpdateSettingsArguments = {}): Promise<UpdatedAnswer> {
    return this.#call({
      name: 'config.updateSettings',
      http: 'PUT',
      path: '/config/settings',
      body: {
        trading: ['trading', tradingChangeNames],
        notifications: ['notifications', notificationsChangeNames],
        advanced: ['advanced', advancedChangeNames],
      },
      given,
      takesKey: true,
    });
  }
}

export interface SubscriptionUpgradeArguments extends WriteArguments {
  tier: 'basic' | 'pro' | 'enterprise';
  interval: 'monthly' | 'yearly';
  paymentMethodId: string;
}

export interface SubscriptionCancelArguments extends WriteArguments {
  cancelImmediately?: boolean;
  reason?: string | null;
  feedback?: string | null;
}

/** `/subscription/*`. */
export class SubscriptionOperations {
  readonly #call: Caller;

  constructor(call: Caller) {
    this.#call = call;
  }

  /** All plans with their prices; open to everybody. */
  plans(): Promise<PlansAnswer> {
    return this.#call({
      name: 'subscription.plans',
      http: 'GET',
      path: '/subscription/plans',
    });
  }

  /** The caller's subscription. */
  current(): Promise<CurrentAnswer> {
    return this.#call({
      name: 'subscription.current',
      http: 'GET',
      path: '/subscription/current',
    });
  }

  /** Choose a plan: a higher one, or a year instead of a month, begins now; any other at the period's end. */
  upgrade(given: SubscriptionUpgradeArguments): Promise<UpgradeAnswer> {
    return this.#call({
      name: 'subscription.upgrade',
      http: 'POST',
      path: '/subscription/upgrade',
      body: {
        tier: 'tier',
        interval: 'interval',
        paymentMethodId: 'payment_method_id',
      },
      given,
      takesKey: true,
    });
  }

  /** Cancel at the period's end, or at once with a refund of what is left. */
  cancel(given: SubscriptionCancelArguments = {}): Promise<CancelAnswer> {
    return this.#call({
      name: 'subscription.cancel',
      http: 'POST',
      path: '/subscription/cancel',
      body: {
        cancelImmediately: 'cancel_immediately',
        reason: 'reason',
        feedback: 'feedback',
      },
      given,
      takesKey: true,
    });
  }

  /** What the account has used in its running period. */
  usage(): Promise<UsageAnswer> {
    return this.#call({
      name: 'subscription.usage',
      http: 'GET',
      path: '/subscription/usage',
    });
  }
}

export interface AnalyticsDashboardArguments {
  mode?: 'paper' | 'live';
}

export interface AnalyticsTradesArguments {
  period?: '7d' | '30d' | '90d' | '1y' | 'all';
  symbol?: string;
  groupBy?: 'day' | 'week' | 'month' | 'hour';
  mode?: 'paper' | 'live';
}

export interface AnalyticsExportArguments extends WriteArguments {
  dataType: 'trades' | 'positions' | 'performance';
  mode?: 'paper' | 'live';
  format?: 'csv' | 'json';
  startDate?: string | null;
  endDate?: string | null;
  includeClosedPositions?: boolean;
  includeOpenPositions?: boolean;
}

/** `/analytics/*`. */
export class AnalyticsOperations {
  readonly #call: Caller;

  constructor(call: Caller) {
    this.#call = call;
  }

  /** Today, week and month at a glance. */
  dashboard(given: AnalyticsDashboardArguments = {}): Promise<DashboardAnswer> {
    return this.#call({
      name: 'analytics.dashboard',
      http: 'GET',
      path: '/analytics/dashboard',
      query: {
        mode: 'mode',
      },
      given,
    });
  }

  /** A period's trades by outcome, symbol and time; with `symbol` every number is of that symbol. */
  trades(given: AnalyticsTradesArguments = {}): Promise<TradesAnswer> {
    return this.#call({
      name: 'analytics.trades',
      http: 'GET',
      path: '/analytics/trades',
      query: {
        period: 'period',
        symbol: 'symbol',
        groupBy: 'group_by',
        mode: 'mode',
      },
      given,
    });
  }

  /** Writes a file of the caller's own rows, and answers the link that opens it for an hour. */
  export(given: AnalyticsExportArguments): Promise<ExportAnswer> {
    return this.#call({
      name: 'analytics.export',
      http: 'POST',
      path: '/analytics/export',
      query: {
        mode: 'mode',
      },
      body: {
        dataType: 'data_type',
        format: 'format',
        startDate: 'start_date',
        endDate: 'end_date',
        includeClosedPositions: 'include_closed_positions',
        includeOpenPositions: 'include_open_positions',
      },
      given,
      takesKey: true,
    });
  }
}

export interface AdminUpdateUserArguments extends WriteArguments {
  subscriptionTier?: 'free' | 'basic' | 'pro' | 'enterprise' | null;
  status?: 'active' | 'suspended' | 'disabled' | null;
  notes?: string | null;
  expiresAt?: string | null;
}

export interface AdminKillSwitchArguments extends WriteArguments {
  reason: string;
  closeAllPositions?: boolean;
  notifyUsers?: boolean;
}

export interface AdminReleaseKillSwitchArguments {
  reason?: string;
}

export interface AdminUsersArguments {
  page?: number;
  perPage?: number;
  search?: string;
  tier?: 'free' | 'basic' | 'pro' | 'enterprise';
  status?: 'active' | 'suspended' | 'disabled';
}

export interface AdminAuditLogsArguments {
  page?: number;
  perPage?: number;
  eventType?: string;
  userId?: string;
  startDate?: string;
  endDate?: string;
}

/** `/admin/*`. */
export class AdminOperations {
  readonly #call: Caller;

  constructor(call: Caller) {
    this.#call = call;
  }

  /** Changes the tier, the status, or adds a note; answers once the other services can know. */
  updateUser(userId: string, given: AdminUpdateUserArguments = {}): Promise<MessageAnswer> {
    return this.#call({
      name: 'admin.updateUser',
      http: 'PUT',
      path: '/admin/users/{user_id}',
      ids: [userId],
      body: {
        subscriptionTier: 'subscription_tier',
        status: 'status',
        notes: 'notes',
        expiresAt: 'expires_at',
      },
      given,
      takesKey: true,
    });
  }

  /** One account in full. */
  user(userId: string): Promise<AnalyticsUserAnswer> {
    return this.#call({
      name: 'admin.user',
      http: 'GET',
      path: '/admin/users/{user_id}',
      ids: [userId],
    });
  }

  /** Stop all trading on the platform: once this has answered, no opening order leaves any worker. */
  killSwitch(given: AdminKillSwitchArguments): Promise<KillSwitchAnswer> {
    return this.#call({
      name: 'admin.killSwitch',
      http: 'POST',
      path: '/admin/kill-switch',
      body: {
        reason: 'reason',
        closeAllPositions: 'close_all_positions',
        notifyUsers: 'notify_users',
      },
      given,
      takesKey: true,
    });
  }

  /** Release it; what it stopped stays stopped. */
  releaseKillSwitch(given: AdminReleaseKillSwitchArguments = {}): Promise<ReleaseAnswer> {
    return this.#call({
      name: 'admin.releaseKillSwitch',
      http: 'DELETE',
      path: '/admin/kill-switch',
      query: {
        reason: 'reason',
      },
      given,
    });
  }

  /** All accounts, newest first, or those that a search finds. */
  users(given: AdminUsersArguments = {}): Promise<UsersAnswer> {
    return this.#call({
      name: 'admin.users',
      http: 'GET',
      path: '/admin/users',
      query: {
        page: 'page',
        perPage: 'per_page',
        search: 'search',
        tier: 'tier',
        status: 'status',
      },
      given,
    });
  }

  /** The platform's figures. */
  metrics(): Promise<MetricsAnswer> {
    return this.#call({
      name: 'admin.metrics',
      http: 'GET',
      path: '/admin/metrics',
    });
  }

  /** The audit log, newest first. */
  auditLogs(given: AdminAuditLogsArguments = {}): Promise<AuditLogsAnswer> {
    return this.#call({
      name: 'admin.auditLogs',
      http: 'GET',
      path: '/admin/audit-logs',
      query: {
        page: 'page',
        perPage: 'per_page',
        eventType: 'event_type',
        userId: 'user_id',
        startDate: 'start_date',
        endDate: 'end_date',
      },
      given,
    });
  }
}

/** All groups. */
export class Operations {
  readonly auth: AuthOperations;
  readonly trading: TradingOperations;
  readonly account: AccountOperations;
  readonly config: ConfigOperations;
  readonly subscription: SubscriptionOperations;
  readonly analytics: AnalyticsOperations;
  readonly admin: AdminOperations;

  constructor(call: Caller) {
    this.auth = new AuthOperations(call);
    this.trading = new TradingOperations(call);
    this.account = new AccountOperations(call);
    this.config = new ConfigOperations(call);
    this.subscription = new SubscriptionOperations(call);
    this.analytics = new AnalyticsOperations(call);
    this.admin = new AdminOperations(call);
  }
}
