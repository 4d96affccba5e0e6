"""Writes the service level objectives as Prometheus rules: `deploy/observability/prometheus/rules/slo.yml`.

    python scripts/slo_rules.py [FILE]

Each objective is a ratio of bad to all, recorded over seven windows under one name with the label `slo`; four alerts
look at how fast the budget of 30 days burns, each over a long window and a short one that ends it soon after the
trouble (Google, The Site Reliability Workbook, chapter 5, table 5-8). A test compares what is checked in with this.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "deploy/observability/prometheus/rules/slo.yml"
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


@dataclass(frozen=True, slots=True)
class Objective:
    """`bad` and `all`: rates per second, with `{w}` for the window. `budget`: the part that may be bad."""

    name: str
    budget: str
    says: str
    bad: str
    all: str


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast a budget burns: at `factor` times its rate over both windows."""

    alert: str
    factor: str
    long: str
    short: str
    severity: str
    spent: str


def slow(metric: str, within: str, labels: str = "") -> tuple[str, str]:
    """Rates of what took longer than a bucket's bound, and of all."""
    selected = f"{{{labels}}}" if labels else ""
    bucket = ", ".join(part for part in (labels, f'le="{within}"') if part)
    everything = f"sum(rate({metric}_count{selected}[{{w}}]))"
    return f"({everything} - sum(rate({metric}_bucket{{{bucket}}}[{{w}}])))", everything


OBJECTIVES = (
    Objective(
        "api-availability",
        "0.001",
        "99.9 % of requests at the gateway are not answered with a 5xx.",
        'sum(rate(nija_http_requests_total{service="gateway", status=~"5.."}[{w}]))',
        'sum(rate(nija_http_requests_total{service="gateway"}[{w}]))',
    ),
    Objective(
        "api-latency",
        "0.01",
        "99 % of requests at the gateway are answered within 500 ms.",
        *slow("nija_http_seconds", "0.5", 'service="gateway"'),
    ),
    Objective(
        "order-outcome",
        "0.01",
        "99 % of orders have their outcome within 1 s of their decision.",
        *slow("nija_order_seconds", "1.0"),
    ),
    Objective(
        "event-freshness",
        "0.01",
        "99 % of batches of events have had their effect within 5 s of their oldest event, outbox included.",
        *slow("nija_event_age_seconds", "5.0"),
    ),
    Objective(
        "socket-delivery",
        "0.01",
        "99 % of trade updates are written to their sockets within 250 ms of the event.",
        *slow("nija_socket_delivery_seconds", "0.25"),
    ),
)

BURNS = (
    Burn("SloBurnsVeryFast", "14.4", "1h", "5m", "critical", "2 % of 30 days' budget in an hour"),
    Burn("SloBurnsFast", "6", "6h", "30m", "critical", "5 % of 30 days' budget in six hours"),
    Burn("SloBurnsSteadily", "3", "1d", "2h", "warning", "10 % of 30 days' budget in a day"),
    Burn("SloBurnsSlowly", "1", "3d", "6h", "warning", "10 % of 30 days' budget in three days"),
)


def rules() -> str:
    """The whole file."""
    lines = ["# Written by scripts/slo_rules.py; a test keeps it fresh.", "groups:"]
    for objective in OBJECTIVES:
        lines += ["", f"  # {objective.says}", f"  - name: nija-slo-{objective.name}", "    rules:"]
        lines += _record("nija:slo_budget", f"vector({objective.budget})", objective.name)
        for window in WINDOWS:
            bad, everything = objective.bad.replace("{w}", window), objective.all.replace("{w}", window)
            # Without any traffic the ratio is no number, and no alert compares it.
            expression = f"({bad} or vector(0)) / {everything}"
            lines += _record(f"nija:slo_errors:ratio_rate{window}", expression, objective.name)
    lines += ["", "  - name: nija-slo-alerts", "    rules:"]
    for burn in BURNS:
        lines += _alert(burn)
    return "\n".join(lines) + "\n"


def _record(name: str, expression: str, slo: str) -> list[str]:
    return [f"      - record: {name}", f"        expr: {expression}", "        labels:", f"          slo: {slo}"]


def _alert(burn: Burn) -> list[str]:
    limit = f"on (slo) ({burn.factor} * nija:slo_budget)"
    return [
        f"      - alert: {burn.alert}",
        "        expr: >-",
        f"          (nija:slo_errors:ratio_rate{burn.long} > {limit})",
        f"          and on (slo) (nija:slo_errors:ratio_rate{burn.short} > {limit})",
        "        labels:",
        f"          severity: {burn.severity}",
        "        annotations:",
        f'          summary: "{{{{ $labels.slo }}}}: {{{{ $value | humanizePercentage }}}} fail over {burn.long}."',
        f'          description: "The error budget burns at more than {burn.factor} times its rate: {burn.spent}."',
        f"          runbook_url: docs/runbooks/alerts.md#{burn.alert.lower()}",
    ]


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else TARGET).write_text(rules(), encoding="utf-8")
