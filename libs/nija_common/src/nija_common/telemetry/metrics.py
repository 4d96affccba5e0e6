"""Every metric of the platform, named in this one file. Labels are bounded: routes, codes and topics, never ids."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HTTP_REQUESTS = Counter("nija_http_requests", "Requests answered.", ["service", "method", "route", "status"])
HTTP_SECONDS = Histogram("nija_http_seconds", "Time to answer.", ["service", "route"], buckets=_FAST)

GATEWAY_REFUSALS = Counter("nija_gateway_refusals", "Requests refused at the edge.", ["code"])
GATEWAY_UPSTREAM_ERRORS = Counter("nija_gateway_upstream_errors", "Failed calls to a service.", ["service", "kind"])
GATEWAY_BREAKER_OPEN = Gauge("nija_gateway_breaker_open", "1 while calls to a service are cut off.", ["service"])

EVENTS_HANDLED = Counter("nija_events_handled", "Events applied.", ["group", "topic", "type"])
EVENTS_SKIPPED = Counter("nija_events_skipped", "Events not applied.", ["group", "topic", "reason"])
EVENTS_RETRIED = Counter("nija_events_retried", "Batches tried again.", ["group", "topic"])
KEYS_PARKED = Counter("nija_keys_parked", "Keys set aside after an event that cannot be handled.", ["group", "topic"])
SUBSCRIPTION_SUSPENDED = Gauge("nija_subscription_suspended", "1 while too many keys were parked.", ["group", "topic"])

OUTBOX_ROWS = Gauge("nija_outbox_rows", "Committed events not yet on the bus.", ["service"])
OUTBOX_AGE_SECONDS = Gauge("nija_outbox_age_seconds", "Age of the oldest of them.", ["service"])
OUTBOX_FAILURES = Counter("nija_outbox_failures", "Failed tries to publish.", ["service"])

COMMITS = Counter("nija_commits", "Units of work.", ["service", "outcome"])
COMMIT_SECONDS = Histogram("nija_commit_seconds", "Time of a commit.", ["service"], buckets=_FAST)

ORDERS = Counter("nija_orders", "Orders by outcome.", ["broker", "mode", "outcome"])
KILL_SWITCH_ACTIVE = Gauge("nija_kill_switch_active", "1 while the global kill switch is tripped.")
BOTS_RUNNING = Gauge("nija_bots_running", "Running bots of the shards this worker holds.")
SHARDS_HELD = Gauge("nija_shards_held", "Shards this worker holds.")
STEP_SECONDS = Histogram("nija_step_seconds", "Time of one step over all bots of a shard.", buckets=_FAST)
BALANCE_DIFFERENCES = Counter(
    "nija_balance_differences", "Balances that no fill explains, by what came of it.", ["broker", "mode", "outcome"]
)
COMMANDS_WAITING = Gauge("nija_commands_waiting", "Commands not yet taken.")

SOCKETS_OPEN = Gauge("nija_sockets_open", "Open sockets.")
SOCKET_MESSAGES = Counter("nija_socket_messages", "Messages written to sockets.", ["channel"])
SOCKET_CLOSES = Counter("nija_socket_closes", "Sockets closed by us.", ["code"])
SOCKET_RESUMES = Counter("nija_socket_resumes", "Subscriptions to trades that asked for what they missed.", ["outcome"])
MAILS = Counter("nija_mails", "Mails by outcome.", ["template", "outcome"])

LOOP_FAILURES = Counter("nija_loop_failures", "Failed turns of a loop.", ["service", "loop"])
