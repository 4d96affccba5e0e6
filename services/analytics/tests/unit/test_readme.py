"""The README names what there is: routes, events in, collections."""

from __future__ import annotations

import re
from pathlib import Path

from nija_analytics.service import SERVICE

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_it_has_every_route_and_no_other() -> None:
    routes = {
        f"{method} {getattr(route, 'path', '')}"
        for role in SERVICE.roles.values()
        for router in role.routers
        for route in router.routes
        for method in getattr(route, "methods", ())
    }
    assert set(re.findall(r"^\| `((?:GET|POST|PUT|DELETE) [^`]+)` \|", README, re.MULTILINE)) == routes


def test_it_has_every_event_that_comes_in_with_its_topic() -> None:
    rows = [line for line in README.splitlines() if "(`nija-" in line]
    for role in SERVICE.roles.values():
        for subscription in role.subscriptions:
            said = " ".join(row for row in rows if f"`{subscription.topic.name}`" in row)
            assert not [event.type for event in subscription.handlers if f"`{event.type}`" not in said]


def test_it_has_every_collection() -> None:
    assert not [kind.collection.name for kind in SERVICE.collections if f"`{kind.collection.name}`" not in README]
