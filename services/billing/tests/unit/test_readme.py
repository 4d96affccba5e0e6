"""The README names what there is: routes, topics, events, settings, collections, loops."""

from __future__ import annotations

from pathlib import Path

from fastapi.routing import APIRoute

from nija_billing.service import SERVICE
from nija_billing.settings import BillingSettings
from nija_common.runtime.settings import names_of

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_it_has_every_route() -> None:
    routes = [r for router in SERVICE.roles["api"].routers for r in router.routes if isinstance(r, APIRoute)]
    assert not [r.path for r in routes for method in r.methods or () if f"| `{method} {r.path}` |" not in README]


def test_it_has_every_event_that_moves_it_and_every_topic() -> None:
    subscriptions = SERVICE.roles["consumer"].subscriptions
    wanted = {kind.type for subscription in subscriptions for kind in subscription.handlers}
    wanted |= {subscription.topic.name for subscription in subscriptions} | {topic.name for topic in SERVICE.produces}
    assert not [name for name in wanted if f"`{name}`" not in README]


def test_it_has_settings_collections_and_loops() -> None:
    wanted = set(names_of(BillingSettings)) | {kind.collection.name for kind in SERVICE.collections}
    wanted |= {loop.name for loop in SERVICE.roles["consumer"].loops}
    assert not [name for name in wanted if f"`{name}`" not in README]
