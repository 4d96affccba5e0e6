"""The service's README says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi.routing import APIRoute

import nija_auth
from nija_auth.service import SERVICE
from nija_auth.settings import AuthSettings
from nija_common.events.catalogue import EVENTS
from nija_common.runtime.settings import names_of

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def rows(pattern: str) -> list[str]:
    return re.findall(rf"^\| `({pattern})`", README, re.MULTILINE)


def test_it_has_every_route_and_no_other() -> None:
    served = [
        f"{method} {route.path}"
        for router in SERVICE.roles["api"].routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    assert sorted(rows("(?:GET|POST|PUT|DELETE) [^`]+")) == sorted(served)


def test_it_has_every_setting_with_its_default_and_no_other() -> None:
    listed = dict(re.findall(r"^\| `(NIJA_[A-Z_]+)` \| (\S+) \|", README, re.MULTILINE))
    defaults = {name: block.model_fields[field].default for name, (block, field) in names_of(AuthSettings).items()}
    assert listed == {name: "none" if default is None else str(default) for name, default in defaults.items()}


def test_it_has_every_loop() -> None:
    for loop in SERVICE.roles["consumer"].loops:
        assert f"| `{loop.name}` |" in README


def test_it_has_the_events_of_the_topics_that_it_writes_and_reads() -> None:
    topics = {*SERVICE.produces, *(s.topic for s in SERVICE.roles["consumer"].subscriptions)}
    wanted = {event.type for event in EVENTS if event.topic in topics}
    assert set(rows("[a-z_]+\\.[a-z_]+")) == wanted


def test_it_names_every_audit_event() -> None:
    source = "".join(p.read_text(encoding="utf-8") for p in Path(nija_auth.__file__).parent.rglob("*.py"))
    written = set(re.findall(r"audit\(\s*\"([a-z_]+)\"", source))
    assert len(written) > 5
    assert not [name for name in written if f"`{name}`" not in README]
