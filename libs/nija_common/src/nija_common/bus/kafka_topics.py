"""Topics on Apache Kafka: making them as the catalogue says, and telling where they differ."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from nija_common.bus.port import BusUnavailable
from nija_common.events.topics import Topic

LOOK_EVERY_S = 0.05
APPEAR_TIMEOUT_S = 30.0
BROKERS_DEFAULT = -1


async def create_missing(admin: AIOKafkaAdminClient, prefix: str, topics: Sequence[Topic]) -> None:
    """Makes what is missing, waits until every partition has a leader, sets policies that differ.

    Raises BusUnavailable if the brokers refuse or do not get there.
    """
    existing = await _partitions(admin, prefix, topics)
    missing = [t for t in topics if t.name not in existing]
    if missing:
        answer = await admin.create_topics([_new_topic(prefix, t) for t in missing])
        for name, code, *_ in answer.topic_errors:
            error = for_code(code)
            if error not in (NoError, TopicAlreadyExistsError):
                raise BusUnavailable(f"cannot make topic {name}: {error.__name__}")
    try:
        async with asyncio.timeout(APPEAR_TIMEOUT_S):
            while any(t.name not in existing for t in topics):
                await asyncio.sleep(LOOK_EVERY_S)
                existing = await _partitions(admin, prefix, topics)
    except TimeoutError:
        raise BusUnavailable(f"topics have no leaders after {APPEAR_TIMEOUT_S:.0f} s") from None
    settings = await _settings(admin, prefix, [t for t in topics if t not in missing])
    changed = [t for t in topics if t.name in settings and _unlike(t, settings[t.name])]
    if changed:
        await _set_policies(admin, prefix, changed)


async def differences(admin: AIOKafkaAdminClient, prefix: str, topics: Sequence[Topic]) -> list[str]:
    """In words, how the brokers' topics differ from the catalogue."""
    existing = await _partitions(admin, prefix, topics)
    settings = await _settings(admin, prefix, [t for t in topics if t.name in existing])
    found: list[str] = []
    for topic in topics:
        name = prefix + topic.name
        if topic.name not in existing:
            found.append(f"topic {name} is missing")
            continue
        if existing[topic.name] != topic.partitions:
            found.append(f"topic {name} has {existing[topic.name]} partitions instead of {topic.partitions}")
        found.extend(
            f"topic {name} has {key}={value} instead of {topic.policy[key]}"
            for key, value in _unlike(topic, settings[topic.name]).items()
        )
    return found


def _new_topic(prefix: str, topic: Topic) -> NewTopic:
    # An empty assignment satisfies the client's check; it lets the brokers' own replication factor apply.
    return NewTopic(
        prefix + topic.name,
        num_partitions=topic.partitions,
        replication_factor=BROKERS_DEFAULT,
        replica_assignments={},
        topic_configs=topic.policy,
    )


def _unlike(topic: Topic, settings: dict[str, str | None]) -> dict[str, str | None]:
    return {key: settings.get(key) for key, value in topic.policy.items() if settings.get(key) != value}


async def _partitions(admin: AIOKafkaAdminClient, prefix: str, topics: Sequence[Topic]) -> dict[str, int]:
    """Of each topic whose partitions all have a leader, how many there are."""
    described: list[dict[str, Any]] = await admin.describe_topics([prefix + t.name for t in topics])
    return {
        str(one["topic"]).removeprefix(prefix): len(one["partitions"])
        for one in described
        if one["error_code"] == 0 and one["partitions"] and all(p["leader"] >= 0 for p in one["partitions"])
    }


async def _settings(
    admin: AIOKafkaAdminClient, prefix: str, topics: Sequence[Topic]
) -> dict[str, dict[str, str | None]]:
    if not topics:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, prefix + t.name) for t in topics]
    found: dict[str, dict[str, str | None]] = {}
    for answer in await admin.describe_configs(asked):
        for code, message, _, name, entries in answer.resources:
            if code:
                raise BusUnavailable(f"cannot read the settings of topic {name}: {message}")
            found[str(name).removeprefix(prefix)] = {entry[0]: entry[1] for entry in entries}
    return found


async def _set_policies(admin: AIOKafkaAdminClient, prefix: str, topics: Sequence[Topic]) -> None:
    wanted = [ConfigResource(ConfigResourceType.TOPIC, prefix + t.name, t.policy) for t in topics]
    for answer in await admin.alter_configs(wanted):
        for code, message, _, name in answer.resources:
            if code:
                raise BusUnavailable(f"cannot set the policy of topic {name}: {message}")
