"""Every metric of the platform, named in this one file. Labels are bounded: routes, codes and topics, never ids."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BROKER = ("broker", "mode")

HTTP_REQUESTS = Counter("nija_http_requests", "Requests answered.", ["service", "method", "route", "status"])
HTTP_SECONDS = Histogram("nija_http_seconds", "Time to answer.", ["service", "route"], buckets=_FAST)
HTTP_IN_FLIGHT = Gauge("nija_http_in_flight", "Requests being answered at this moment.", ["service"])

ROLE = Gauge("nija_role", "1 for each role that this process runs.", ["service", "role"])
LOOP_LAG_SECONDS = Histogram(
    "nija_loop_lag_seconds", "How late the event loop of this process comes to what is due.", buckets=_FAST
)
STORE_WAITING = Gauge(
    "nija_store_waiting", "Embedded: units of work that wait for the writer. MongoDB: connections in use.", ["store"]
)

GATEWAY_REFUSALS = Counter("nija_gateway_refusals", "Requests refused at the edge.", ["code"])
GATEWAY_UPSTREAM_ERRORS = Counter("nija_gateway_upstream_errors", "Failed calls to a service.", ["service", "kind"])
GATEWAY_BREAKER_OPEN = Gauge("nija_gateway_breaker_open", "1 while calls to a service are cut off.", ["service"])
GATEWAY_IN_FLIGHT = Gauge("nija_gateway_in_flight", "Calls to a service that are under way.", ["service"])
RATE_LIMIT_REFUSALS = Counter("nija_rate_limit_refusals", "What was refused for a limit, by limit.", ["limit"])

EVENTS_HANDLED = Counter("nija_events_handled", "Events applied.", ["group", "topic", "type"])
EVENTS_SKIPPED = Counter("nija_events_skipped", "Events not applied.", ["group", "topic", "reason"])
EVENTS_RETRIED = Counter("nija_events_retried", "Batches tried again.", ["group", "topic"])
EVENT_AGE_SECONDS = Histogram(
    "nija_event_age_seconds",
    "Age of a batch's oldest event when the effects of the batch were committed.",
    ["group", "topic"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)
CONSUMER_LAG = Gauge(
    "nija_consumer_lag", "Records between a group's position and the end, partitions held here.", ["group", "topic"]
)
KEYS_PARKED = Counter("nija_keys_parked", "Keys set aside after an event that cannot be handled.", ["group", "topic"])
PARKED_KEYS = Gauge("nija_parked_keys", "Keys of a group that are set aside now.", ["group"])
SUBSCRIPTION_SUSPENDED = Gauge("nija_subscription_suspended", "1 while too many keys were parked.", ["group", "topic"])

OUTBOX_ROWS = Gauge(
    "nija_outbox_rows", "Committed events not yet on the bus (the embedded platform has no outbox).", ["service"]
)
OUTBOX_AGE_SECONDS = Gauge("nija_outbox_age_seconds", "Age of the oldest of them.", ["service"])
OUTBOX_FAILURES = Counter("nija_outbox_failures", "Failed tries to publish.", ["service"])

COMMITS = Counter("nija_commits", "Units of work.", ["service", "outcome"])
COMMIT_SECONDS = Histogram("nija_commit_seconds", "Time of a commit.", ["service"], buckets=_FAST)

ORDERS = Counter(
    "nija_orders", "Orders by what the broker, or the last look at the switches, made of them.", [*_BROKER, "outcome"]
)
ORDER_SECONDS = Histogram("nija_order_seconds", "From an order's decision to its outcome.", _BROKER, buckets=_FAST)
BROKER_FAILURES = Counter("nija_broker_failures", "Orders that could not be sent or looked up for now.", _BROKER)
UNKNOWN_ORDERS = Gauge("nija_unknown_orders", "Orders whose outcome has not been known for some seconds.", _BROKER)
UNPROTECTED_POSITIONS = Gauge(
    "nija_unprotected_positions", "Positions whose stop is not at the broker as it was decided.", _BROKER
)
KILL_SWITCH_ACTIVE = Gauge("nija_kill_switch_active", "1 while the global kill switch is tripped.")
BOTS_RUNNING = Gauge("nija_bots_running", "Running bots of the shards this worker holds.")
SHARDS_HELD = Gauge("nija_shards_held", "Shards this worker holds.")
STEP_SECONDS = Histogram("nija_step_seconds", "Time of one step over all bots of a shard.", buckets=_FAST)
BALANCE_DIFFERENCES = Counter(
    "nija_balance_differences", "Balances that no fill explains, by what came of it.", [*_BROKER, "outcome"]
)
COMMANDS_WAITING = Gauge("nija_commands_waiting", "Commands not yet taken.")

SOCKETS_OPEN = Gauge("nija_sockets_open", "Open sockets.")
SOCKET_MESSAGES = Counter("nija_socket_messages", "Messages written to sockets.", ["channel"])
SOCKET_DELIVERY_SECONDS = Histogram(
    "nija_socket_delivery_seconds", "From a trade's event to its writing to a socket.", buckets=_FAST
)
SOCKET_CLOSES = Counter("nija_socket_closes", "Sockets closed by us.", ["code"])
SOCKET_RESUMES = Counter("nija_socket_resumes", "Subscriptions to trades that asked for what they missed.", ["outcome"])
MAILS = Counter("nija_mails", "Mails by outcome.", ["template", "outcome"])

STRIPE_CALLS = Counter("nija_stripe_calls", "What we asked of Stripe, by outcome.", ["outcome"])
STRIPE_WEBHOOKS = Counter("nija_stripe_webhooks", "What Stripe told us, by outcome.", ["outcome"])

LOOP_FAILURES = Counter("nija_loop_failures", "Failed turns of a loop.", ["service", "loop"])
