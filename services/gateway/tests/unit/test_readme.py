"""The README names what there is: routes, settings and their defaults, topics, collections, loops."""

from __future__ import annotations

from pathlib import Path

from nija_common.runtime.settings import names_of
from nija_gateway.domain.routes import ROUTES, LimitClass
from nija_gateway.service import SERVICE
from nija_gateway.settings import GatewaySettings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_it_has_every_route_with_service_caller_and_limit_and_no_other() -> None:
    listed = [line for line in README.splitlines() if line.count("|") == 6 and "`/" in line]
    assert listed == [f"| {r.method} | `{r.path}` | {r.service} | {r.who} | {r.limit} |" for r in ROUTES]


def test_it_explains_every_limit() -> None:
    assert not [limit for limit in LimitClass if f"| `{limit}` |" not in README]


def test_it_has_every_setting_with_its_default() -> None:
    rows = [line for line in README.splitlines() if line.startswith("| `NIJA_")]
    for name, (block, field) in names_of(GatewaySettings).items():
        default = block.model_fields[field].default
        wanted = {None: "in process", (): "none"}.get(default, str(default))
        assert any(f"`{name}`" in row and f"| {wanted} |" in row for row in rows), name


def test_it_has_topics_collections_and_loops() -> None:
    role = SERVICE.roles["api"]
    wanted = {subscription.topic.name for subscription in role.subscriptions}
    wanted |= {topic.name for topic in SERVICE.produces} | {task.name for task in role.tasks}
    wanted |= {kind.collection.name for kind in SERVICE.collections} | {loop.name for loop in role.loops}
    assert not [name for name in wanted if f"`{name}`" not in README]
