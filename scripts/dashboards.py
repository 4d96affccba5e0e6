"""Writes the Grafana dashboards (10 and later) from the descriptions below: `deploy/observability/grafana/dashboards/`.

    python scripts/dashboards.py [FOLDER]

A dashboard is rows of panels, a panel one or more PromQL expressions; places, ids and the rest of Grafana's JSON follow
from that. The data source is a variable, so that any Prometheus will do. A test compares what is checked in with this.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "deploy/observability/grafana/dashboards"
WIDTH, HEIGHT, STAT_HEIGHT = 24, 8, 4
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """`queries`: (PromQL, legend). `limits`: from which value on a stat is yellow, and red."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    limits: tuple[float | None, float | None] = (None, None)
    says: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def line(title: str, *queries: tuple[str, str], unit: str = "short", says: str = "") -> Panel:
    return Panel(title, queries, unit, says=says)


def stat(
    title: str,
    query: str,
    *,
    unit: str = "short",
    yellow: float | None = None,
    red: float | None = None,
    says: str = "",
) -> Panel:
    return Panel(title, ((query, ""),), unit, "stat", (yellow, red), says)


def quantiles(metric: str, by: str = "", labels: str = "") -> tuple[tuple[str, str], ...]:
    """Median and 99th percentile of a histogram, by some labels."""
    grouped = ", ".join(part for part in ("le", by) if part)
    selected = f"{{{labels}}}" if labels else ""
    name = " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(",") if label)
    return tuple(
        (
            f"histogram_quantile({q}, sum by ({grouped}) (rate({metric}_bucket{selected}[$__rate_interval])))",
            f"{name} {says}".strip(),
        )
        for q, says in ((0.5, "p50"), (0.99, "p99"))
    )


def rate(metric: str, by: str, labels: str = "") -> tuple[str, str]:
    """A counter's rate per second, by some labels."""
    selected = f"{{{labels}}}" if labels else ""
    legend = " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))
    return f"sum by ({by}) (rate({metric}{selected}[$__rate_interval]))", legend


def answered(route: str) -> str:
    """How often a route has done what it was asked for, in the last 24 hours."""
    labels = f'service="gateway", route="{route}", status=~"2.."'
    return f"sum(increase(nija_http_requests_total{{{labels}}}[24h]))"


OVERVIEW = Dashboard(
    "nija-overview",
    "NIJA: overview",
    (
        (
            "What users feel",
            (
                stat("Requests/s", 'sum(rate(nija_http_requests_total{service="gateway"}[5m]))', unit="reqps"),
                stat(
                    "5xx",
                    'nija:slo_errors:ratio_rate5m{slo="api-availability"}',
                    unit="percentunit",
                    yellow=0.001,
                    red=0.0144,
                ),
                stat(
                    "p99",
                    'histogram_quantile(0.99, sum by (le) (rate(nija_http_seconds_bucket{service="gateway"}[5m])))',
                    unit="s",
                    yellow=0.25,
                    red=0.5,
                ),
                stat("Kill switch", "max(nija_kill_switch_active)", red=1, says="1: nothing is opened for anybody."),
                stat("Unknown orders", "sum(nija_unknown_orders)", red=1),
                stat("Unprotected positions", "sum(nija_unprotected_positions)", red=1),
            ),
        ),
        (
            "Objectives",
            (
                line(
                    "Errors over budget, 1 h",
                    ("nija:slo_errors:ratio_rate1h / on (slo) nija:slo_budget", "{{slo}}"),
                    says="1: as much as the objective allows. 14.4 over an hour wakes somebody.",
                ),
                line(
                    "Errors over budget, 3 d",
                    ("nija:slo_errors:ratio_rate3d / on (slo) nija:slo_budget", "{{slo}}"),
                ),
            ),
        ),
        (
            "Each service",
            (
                line("Traffic", rate("nija_http_requests_total", "service"), unit="reqps"),
                line("Errors", rate("nija_http_requests_total", "service", 'status=~"5.."'), unit="reqps"),
                line("Latency", *quantiles("nija_http_seconds", "service"), unit="s"),
                line("Requests in flight", ("sum by (service) (nija_http_in_flight)", "{{service}}")),
                line("Event loop lag", *quantiles("nija_loop_lag_seconds", "instance"), unit="s"),
                line(
                    "Store: waiting or in use",
                    ("sum by (store, instance) (nija_store_waiting)", "{{instance}} {{store}}"),
                ),
                line("Commits", rate("nija_commits_total", "service, outcome"), unit="ops"),
                line("Time of a commit", *quantiles("nija_commit_seconds", "service"), unit="s"),
                line("Failed turns of loops", rate("nija_loop_failures_total", "service, loop")),
            ),
        ),
    ),
)

TRADING = Dashboard(
    "nija-trading",
    "NIJA: trading",
    (
        (
            "Now",
            (
                stat("Bots", "sum(nija_bots_running)"),
                stat("Shards held", "sum(nija_shards_held)", says="All is well at 24."),
                stat("Commands waiting", "sum(nija_commands_waiting)", yellow=50, red=500),
                stat("Kill switch", "max(nija_kill_switch_active)", red=1),
                stat("Unknown orders", "sum(nija_unknown_orders)", red=1),
                stat("Unprotected positions", "sum(nija_unprotected_positions)", red=1),
            ),
        ),
        (
            "Orders",
            (
                line("By outcome", rate("nija_orders_total", "broker, mode, outcome"), unit="ops"),
                line("Decision to outcome", *quantiles("nija_order_seconds", "broker, mode"), unit="s"),
                line("Broker failures", rate("nija_broker_failures_total", "broker, mode"), unit="ops"),
                line("Unexplained balances", rate("nija_balance_differences_total", "broker, mode, outcome")),
            ),
        ),
        (
            "Workers",
            (
                line("Shards", ("nija_shards_held > 0", "{{instance}}")),
                line("Bots", ("nija_bots_running > 0", "{{instance}}")),
                line("Time of a step", *quantiles("nija_step_seconds"), unit="s"),
            ),
        ),
    ),
)

GATEWAY = Dashboard(
    "nija-gateway",
    "NIJA: gateway and API",
    (
        (
            "Requests",
            (
                line("By status", rate("nija_http_requests_total", "status", 'service="gateway"'), unit="reqps"),
                line("By route", rate("nija_http_requests_total", "route", 'service="gateway"'), unit="reqps"),
                line("Latency", *quantiles("nija_http_seconds", "", 'service="gateway"'), unit="s"),
                line("Slowest routes, p99", quantiles("nija_http_seconds", "route", 'service="gateway"')[1], unit="s"),
            ),
        ),
        (
            "Refused",
            (
                line("By code", rate("nija_gateway_refusals_total", "code"), unit="reqps"),
                line("Rate limits", rate("nija_rate_limit_refusals_total", "limit"), unit="reqps"),
            ),
        ),
        (
            "Services behind it",
            (
                line("Calls under way", ("sum by (service) (nija_gateway_in_flight)", "{{service}}")),
                line("Failed calls", rate("nija_gateway_upstream_errors_total", "service, kind"), unit="ops"),
                line("Cut off", ("max by (service) (nija_gateway_breaker_open)", "{{service}}")),
            ),
        ),
    ),
)

EVENTS = Dashboard(
    "nija-events",
    "NIJA: events and outbox",
    (
        (
            "Consumers",
            (
                line("Handled", rate("nija_events_handled_total", "group, topic"), unit="ops"),
                line("Behind the end", ("sum by (group, topic) (nija_consumer_lag)", "{{group}} {{topic}}")),
                line("Age when committed", *quantiles("nija_event_age_seconds", "group"), unit="s"),
                line("Skipped", rate("nija_events_skipped_total", "group, topic, reason"), unit="ops"),
                line("Batches tried again", rate("nija_events_retried_total", "group, topic"), unit="ops"),
                line("Keys being parked", rate("nija_keys_parked_total", "group, topic")),
                line("Parked keys", ("max by (group) (nija_parked_keys)", "{{group}}")),
                line("Suspended", ("max by (group, topic) (nija_subscription_suspended)", "{{group}} {{topic}}")),
            ),
        ),
        (
            "Outbox (MongoDB; the embedded platform has none)",
            (
                line("Rows", ("sum by (service) (nija_outbox_rows)", "{{service}}")),
                line("Age of the oldest", ("max by (service) (nija_outbox_age_seconds)", "{{service}}"), unit="s"),
                line("Failed tries", rate("nija_outbox_failures_total", "service"), unit="ops"),
            ),
        ),
    ),
)

SOCKETS = Dashboard(
    "nija-sockets",
    "NIJA: sockets and mail",
    (
        (
            "Sockets",
            (
                line("Open", ("nija_sockets_open > 0", "{{instance}}")),
                line("Messages", rate("nija_socket_messages_total", "channel"), unit="ops"),
                line("From event to socket (trades)", *quantiles("nija_socket_delivery_seconds"), unit="s"),
                line("Closed by us, by code", rate("nija_socket_closes_total", "code"), unit="ops"),
                line("Coming back", rate("nija_socket_resumes_total", "outcome"), unit="ops"),
            ),
        ),
        ("Mail", (line("By outcome", rate("nija_mails_total", "template, outcome"), unit="ops"),)),
    ),
)

BUSINESS = Dashboard(
    "nija-business",
    "NIJA: business",
    (
        (
            "Today",
            (
                stat("Registrations, 24 h", answered("/api/v1/auth/register")),
                stat("Orders, 24 h", "sum(increase(nija_orders_total[24h]))"),
                stat("Alerts, 24 h", answered("/api/v1/webhooks/tradingview")),
                stat("Bots", "sum(nija_bots_running)"),
                stat("Sockets open", "sum(nija_sockets_open)"),
                stat("Mails, 24 h", 'sum(increase(nija_mails_total{outcome="sent"}[24h]))'),
            ),
        ),
        (
            "Money",
            (
                line("Orders by outcome", rate("nija_orders_total", "mode, outcome"), unit="ops"),
                line("Calls to Stripe", rate("nija_stripe_calls_total", "outcome"), unit="ops"),
                line("Stripe's events", rate("nija_stripe_webhooks_total", "outcome"), unit="ops"),
                line("Mails", rate("nija_mails_total", "template"), unit="ops"),
            ),
        ),
    ),
)

DASHBOARDS = (OVERVIEW, TRADING, GATEWAY, EVENTS, SOCKETS, BUSINESS)


def model(dashboard: Dashboard) -> dict[str, Any]:
    """Grafana's JSON of a dashboard."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in dashboard.rows:
        panels.append(
            {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _place(0, y, WIDTH, 1)}
        )
        y += 1
        stats = all(panel.kind == "stat" for panel in row)
        across = min(len(row), 6 if stats else 3)
        width, height = WIDTH // across, STAT_HEIGHT if stats else HEIGHT
        for i, panel in enumerate(row):
            panels.append(_panel(panel, _place(i % across * width, y + i // across * height, width, height)))
        y += -(-len(row) // across) * height
    for number, each in enumerate(panels, start=1):
        each["id"] = number
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["nija"],
        "schemaVersion": 38,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource()]},
        "annotations": {"list": []},
        "links": [
            {"type": "dashboards", "tags": ["nija"], "title": "NIJA", "asDropdown": True, "icon": "external link"}
        ],
        "panels": panels,
    }


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
    }


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    for color, value in zip(("yellow", "red"), panel.limits, strict=True):
        if value is not None:
            steps.append({"color": color, "value": value})
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
        if panel.kind == "timeseries"
        else {"colorMode": "value", "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}},
        "targets": [
            {"refId": chr(65 + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend, "range": True}
            for i, (expr, legend) in enumerate(panel.queries)
        ],
    }


def _place(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        text = json.dumps(model(dashboard), indent=1) + "\n"
        (folder / f"{dashboard.uid}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
