"""The README names what there is: settings, topics, templates, collections, close codes."""

from __future__ import annotations

from pathlib import Path

from nija_common.runtime.settings import names_of
from nija_notifier.api.session import TOO_BIG, TRY_LATER
from nija_notifier.domain.hub import GOING_AWAY, REFUSED, TOO_MANY
from nija_notifier.domain.outbox import SLOW
from nija_notifier.handlers.letters import TEMPLATES
from nija_notifier.service import SERVICE

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_setting_topic_collection_template_and_close_code() -> None:
    topics = {s.topic.name for role in SERVICE.roles.values() for s in role.subscriptions}
    collections = {kind.collection.name for kind in SERVICE.collections}
    codes = {str(code) for code in (TOO_BIG, TRY_LATER, GOING_AWAY, REFUSED, TOO_MANY, SLOW)}
    wanted = {*names_of(SERVICE.settings), *topics, *collections, *TEMPLATES, *codes}
    assert {name for name in wanted if name not in README} == set()
