"""One member of a consumer group on Apache Kafka, and readers outside any group (aiokafka).

aiokafka resolves positions and fetches beside the rebalance listener, and swallows what the listener raises.
So every assigned partition is sought explicitly, polls give nothing while an assignment is being settled,
and an error of the listener comes out of the next poll.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPlace
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import ConsumerRecord

from nija_common.bus.port import BusUnavailable, Listener, NotOwner, Record, TopicPartition
from nija_common.cancellation import ended, heeding_cancellation

log = structlog.get_logger(__name__)

START_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 4.0
ABANDON_TIMEOUT_S = 1.0
COMMIT_TIMEOUT_S = 5.0

AWAY = (TimeoutError, KafkaError, OSError, AssertionError)
"""What a client raises while brokers cannot be reached. aiokafka asserts that it knows a broker, and after an answer
without any (from one that has just started, or is fenced) it knows none."""


class Names:
    """Turns names of ours into names on the brokers and back."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def outer(self, place: TopicPartition) -> KafkaPlace:
        return KafkaPlace(self.prefix + place.topic, place.partition)

    def inner(self, place: KafkaPlace) -> TopicPartition:
        return TopicPartition(place.topic.removeprefix(self.prefix), place.partition)

    def record(self, raw: ConsumerRecord) -> Record:
        try:
            key = None if raw.key is None else raw.key.decode()
        except UnicodeDecodeError:
            key = None
        return Record(
            raw.topic.removeprefix(self.prefix),
            raw.partition,
            raw.offset,
            key,
            raw.value or b"",
            {name: value.decode(errors="replace") for name, value in raw.headers},
            raw.timestamp,
        )


@contextlib.asynccontextmanager
async def running(consumer: AIOKafkaConsumer) -> AsyncIterator[AIOKafkaConsumer]:
    """Starts a consumer, and closes it within a bounded time even where no broker answers."""
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await consumer.start()
    except AWAY as error:
        await _close(consumer)
        raise BusUnavailable(f"cannot reach Kafka: {error!r}") from error
    except asyncio.CancelledError:
        await _close(consumer)
        raise
    try:
        yield consumer
    finally:
        await _close(consumer)


async def _close(consumer: AIOKafkaConsumer) -> None:
    failure = await ended(consumer.stop(), CLOSE_TIMEOUT_S)
    if failure is not None:
        log.warning("kafka_consumer_not_closed_cleanly", reason=repr(failure))
        # The client's connections must not outlive it; there is no public way to them.
        await ended(consumer._client.close(), ABANDON_TIMEOUT_S)


async def take(
    consumer: AIOKafkaConsumer, names: Names, max_records: int, timeout: float, grace: float = 1.0
) -> list[Record]:
    """What the consumer has, in offset order within each partition."""
    try:
        # In the middle of a rebalance the client would wait without a limit.
        with heeding_cancellation():
            async with asyncio.timeout(timeout + grace):
                batches: Mapping[KafkaPlace, list[ConsumerRecord]] = await consumer.getmany(
                    timeout_ms=int(timeout * 1000), max_records=max_records
                )
    except TimeoutError:
        return []
    except AWAY as error:
        raise BusUnavailable(f"cannot read from Kafka: {error!r}") from error
    return [names.record(raw) for batch in batches.values() for raw in batch]


def position_of(consumer: AIOKafkaConsumer, place: KafkaPlace) -> int:
    """The next offset to be polled; 0 while there is none.

    The public call waits for a position instead of telling that there is none.
    """
    subscription = consumer._subscription.subscription
    assignment = None if subscription is None else subscription.assignment
    state = None if assignment is None or place not in assignment.tps else assignment.state_value(place)
    return int(state.position) if state is not None and state.has_valid_position else 0


class KafkaReader:
    """A reader outside any group: manual partitions, nothing committed."""

    def __init__(self, consumer: AIOKafkaConsumer, names: Names) -> None:
        self._consumer = consumer
        self._names = names

    async def poll(self, max_records: int, timeout: float) -> list[Record]:
        return await take(self._consumer, self._names, max_records, timeout)

    def position(self, place: TopicPartition) -> int:
        return position_of(self._consumer, self._names.outer(place))


class KafkaMember(ConsumerRebalanceListener):  # type: ignore[misc]
    """A group member; also what aiokafka tells about rebalances."""

    def __init__(self, consumer: AIOKafkaConsumer, names: Names, listener: Listener) -> None:
        self._consumer = consumer
        self._names = names
        self._listener = listener
        self._settled = asyncio.Event()
        self._failure: Exception | None = None

    def begin(self, topics: Sequence[str]) -> None:
        """Joins the group, in the background."""
        self._consumer.subscribe([self._names.prefix + t for t in topics], listener=self)

    async def poll(self, max_records: int, timeout: float) -> list[Record]:
        self._raise_failure()
        try:
            async with asyncio.timeout(timeout):
                await self._settled.wait()
        except TimeoutError:
            # Nothing to be had yet; this raises what keeps the group from being joined.
            await take(self._consumer, self._names, max_records, 0.0, grace=0.0)
            return []
        records = await take(self._consumer, self._names, max_records, timeout)
        self._raise_failure()
        # Fetched by a new assignment before it was sought: what follows settles where it starts.
        return records if self._settled.is_set() else []

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if not offsets:
            return
        try:
            with heeding_cancellation():
                async with asyncio.timeout(COMMIT_TIMEOUT_S):
                    await self._consumer.commit({self._names.outer(p): o for p, o in offsets.items()})
        except (
            CommitFailedError,
            IllegalStateError,
            IllegalGenerationError,
            RebalanceInProgressError,
            UnknownMemberIdError,
        ) as error:
            raise NotOwner(f"the group has moved on: {error!r}") from error
        except AWAY as error:
            raise BusUnavailable(f"cannot commit offsets: {error!r}") from error

    async def seek(self, place: TopicPartition, offset: int) -> None:
        try:
            self._consumer.seek(self._names.outer(place), offset)
        except IllegalStateError as error:
            raise NotOwner(f"{place.topic}/{place.partition} is not ours") from error

    def pause(self, place: TopicPartition) -> None:
        with contextlib.suppress(IllegalStateError):
            self._consumer.pause(self._names.outer(place))

    def resume(self, place: TopicPartition) -> None:
        with contextlib.suppress(IllegalStateError):
            self._consumer.resume(self._names.outer(place))

    def position(self, place: TopicPartition) -> int:
        """0 for a partition that has just been assigned and not been sought yet: nothing has been read of it."""
        return position_of(self._consumer, self._names.outer(place)) if self._settled.is_set() else 0

    async def on_partitions_revoked(self, revoked: Iterable[KafkaPlace]) -> None:
        """aiokafka: about to rejoin. All partitions are given up, whatever comes back."""
        self._settled.clear()
        places = frozenset(self._names.inner(p) for p in revoked)
        if not places:
            return
        try:
            await self._listener.revoked(places)
        except Exception as error:  # noqa: BLE001 - aiokafka would swallow it; the next poll raises it
            self._failure = error

    async def on_partitions_assigned(self, assigned: Iterable[KafkaPlace]) -> None:
        """aiokafka: these are ours now. Seeks every one of them before anything is polled."""
        places = frozenset(self._names.inner(p) for p in assigned)
        try:
            starts = await self._listener.assigned(places)
            offsets = {self._names.outer(p): o for p, o in starts.items() if p in places}
            offsets |= await self._defaults([p for p in assigned if p not in offsets])
            for place, offset in offsets.items():
                self._consumer.seek(place, offset)
        except Exception as error:  # noqa: BLE001 - aiokafka would swallow it; the next poll raises it
            self._failure = error
            return
        self._settled.set()

    async def _defaults(self, places: Sequence[KafkaPlace]) -> dict[KafkaPlace, int]:
        """The group's committed offsets, else where the partition begins."""
        if not places:
            return {}
        committed = await asyncio.gather(*(self._consumer.committed(p) for p in places))
        found = {p: o for p, o in zip(places, committed, strict=True) if o is not None}
        fresh = [p for p in places if p not in found]
        return found | (await self._consumer.beginning_offsets(fresh) if fresh else {})

    def _raise_failure(self) -> None:
        if self._failure is None:
            return
        if isinstance(self._failure, AWAY):
            raise BusUnavailable(f"cannot settle partitions: {self._failure!r}") from self._failure
        raise self._failure
