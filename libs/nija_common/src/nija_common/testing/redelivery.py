"""Events as an unkind bus delivers them: repeated, late, and shuffled as far as a partition's order allows."""

from __future__ import annotations

import random as randomness
from collections import Counter, defaultdict
from collections.abc import Sequence

from nija_common.bus.port import Message
from nija_common.events.base import Event
from nija_common.events.codec import encode
from nija_common.events.topics import SHARED_TOPICS, Kind
from nija_common.storage.unit_of_work import emission_of
from nija_common.values.clock import Clock

_FACTS = {topic.name for topic in SHARED_TOPICS if topic.kind is Kind.FACT}


def messages_of(events: Sequence[Event], *, source: str, clock: Clock) -> list[Message]:
    """The records of these events as their producer would write them, `seq` without a gap per topic and key."""
    seqs: Counter[tuple[str, str]] = Counter()
    found = []
    for event in events:
        emission = emission_of(event, source, clock)
        seqs[(emission.topic.name, emission.key)] += 1
        value, headers = encode(emission, seq=seqs[(emission.topic.name, emission.key)], incarnation=0)
        found.append(Message(emission.topic.name, emission.partition, emission.key, value, headers))
    return found


def redelivered(messages: Sequence[Message], random: randomness.Random, window: int = 50) -> list[Message]:
    """Each record one to three times, shuffled within `window` places.

    Of a fact's key the first copies keep their order: a producer and a partition promise that much. State
    may come in any order, older revisions last included.
    """
    late = [
        (index + random.randrange(window), random.random(), index)
        for index in range(len(messages))
        for _ in range(random.randint(1, 3))
    ]
    order = [index for _, _, index in sorted(late)]
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, index in enumerate(order):
        if messages[index].topic in _FACTS:
            places[(messages[index].topic, messages[index].key)].append(place)
    for mine in places.values():
        _firsts_in_order(order, mine)
    return [messages[index] for index in order]


def _firsts_in_order(order: list[int], places: list[int]) -> None:
    """Swaps the entries at these places until the first copy of each comes after those of all before it."""
    waiting = sorted({order[place] for place in places}, reverse=True)
    for number, place in enumerate(places):
        if not waiting:
            return
        if order[place] >= waiting[-1]:
            wanted = waiting.pop()
            other = next(later for later in places[number:] if order[later] == wanted)
            order[place], order[other] = order[other], order[place]
