"""What a metric says now, read as Prometheus would read it."""

from __future__ import annotations

from prometheus_client import REGISTRY


def measured(name: str, **labels: str) -> float:
    """The value of one series of this process, by the name that is scraped; 0 where there is none yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0
