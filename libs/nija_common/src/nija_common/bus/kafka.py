"""The bus on Apache Kafka (aiokafka): see `port.py` for what it promises.

Clients connect when they are first needed and are thrown away when they fail, so that a bus outage is an
error of the call and never of the process. Consumers are in `kafka_member.py`, topics in `kafka_topics.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPlace
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import InvalidProducerEpoch, MessageSizeTooLargeError, ProducerClosed, ProducerFenced

from nija_common.bus import kafka_topics
from nija_common.bus.kafka_access import Access
from nija_common.bus.kafka_member import ABANDON_TIMEOUT_S, AWAY, KafkaMember, KafkaReader, Names, running
from nija_common.bus.port import (
    BusUnavailable,
    Edge,
    Listener,
    Member,
    Message,
    NotOwner,
    Reader,
    Since,
    Start,
    StatePublisher,
    TopicPartition,
)
from nija_common.cancellation import ended, heeding_cancellation
from nija_common.events.topics import Topic

log = structlog.get_logger(__name__)

SEND_TIMEOUT_S = 5.0
ASK_TIMEOUT_S = 2.0
ADMIN_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 3.0

# So long after a failure nobody tries to reach the brokers to send: otherwise every request of an outage would wait.
AWAY_S = 1.0

# A relay that dies inside a transaction holds up readers of its partitions until then, or until the next
# relay opens the same id.
TRANSACTION_TIMEOUT_MS = 10_000

# How long a fetch waits at the broker: the longest that a partition which was just sought waits for its turn.
FETCH_WAIT_MS = 200

# One batch of a partition is under way at a time: small ones would make a burst slow.
BATCH_BYTES = 128 * 1024

# Longer than a rebalance: a JoinGroup request is answered when the last member has come.
GROUP_REQUEST_TIMEOUT_MS = 40_000


class KafkaBus:
    """Adapter of the port `Bus`. Open it with `KafkaBus.open(...)`."""

    def __init__(self, bootstrap: str, namespace: str, *, session_timeout_s: float, access: Access) -> None:
        self._brokers: dict[str, Any] = {"bootstrap_servers": bootstrap, **access.options()}
        self._names = Names(namespace)
        self._session_timeout_ms = int(session_timeout_s * 1000)
        self._opening = asyncio.Lock()
        self._away_until = 0.0
        self._producer: AIOKafkaProducer | None = None
        self._ends_client: AIOKafkaConsumer | None = None
        self._ends_stack = contextlib.AsyncExitStack()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, bootstrap: str, *, namespace: str = "", session_timeout_s: float = 6.0, access: Access | None = None
    ) -> AsyncIterator[KafkaBus]:
        """A bus on these brokers; topics, groups and publishers carry the namespace as a prefix.

        Nothing is connected yet. `session_timeout_s`: after this time without a heartbeat a member's partitions
        pass to others. `access`: who we are to the brokers, nobody in particular without. Raises ValueError for one
        that cannot be.
        """
        bus = cls(bootstrap, namespace, session_timeout_s=session_timeout_s, access=access or Access())
        try:
            yield bus
        finally:
            await bus.close()

    async def send(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        producer = await self._open_producer()
        try:
            with heeding_cancellation():
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await _send_all(producer, self._names, messages)
        except MessageSizeTooLargeError as error:
            raise ValueError(str(error)) from error
        except AWAY as error:
            # It would go on trying for ever, and the caller will send the same again.
            self._away_until = asyncio.get_running_loop().time() + AWAY_S
            if self._producer is producer:
                self._producer = None
                await _abandon(producer)
            raise BusUnavailable(f"not acknowledged by Kafka: {error!r}") from error

    @contextlib.asynccontextmanager
    async def join(self, group: str, topics: Sequence[str], listener: Listener) -> AsyncIterator[Member]:
        consumer = AIOKafkaConsumer(
            **self._brokers,
            group_id=self._names.prefix + group,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=max(self._session_timeout_ms // 12, 100),
            rebalance_timeout_ms=max(self._session_timeout_ms, 10_000),
            request_timeout_ms=GROUP_REQUEST_TIMEOUT_MS,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        async with running(consumer):
            member = KafkaMember(consumer, self._names, listener)
            member.begin(topics)
            yield member

    @contextlib.asynccontextmanager
    async def read(self, starts: Mapping[TopicPartition, Start]) -> AsyncIterator[Reader]:
        consumer = AIOKafkaConsumer(
            **self._brokers,
            group_id=None,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        async with running(consumer):
            offsets = await self._resolve(consumer, starts)
            consumer.assign(list(offsets))
            for place, offset in offsets.items():
                consumer.seek(place, offset)
            yield KafkaReader(consumer, self._names)

    @contextlib.asynccontextmanager
    async def state_publisher(self, publisher_id: str) -> AsyncIterator[StatePublisher]:
        producer = AIOKafkaProducer(
            **self._brokers,
            transactional_id=self._names.prefix + publisher_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=int(SEND_TIMEOUT_S * 1000),
        )
        await _start(producer)
        publisher = KafkaStatePublisher(producer, self._names)
        try:
            yield publisher
        finally:
            await publisher.abort()
            await _close(producer)

    async def ends(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if not places:
            return {}
        try:
            with heeding_cancellation():
                async with asyncio.timeout(ASK_TIMEOUT_S):
                    client = await self._open_ends_client()
                    found = await client.end_offsets([self._names.outer(p) for p in places])
        except AWAY as error:
            raise BusUnavailable(f"cannot ask Kafka where partitions end: {error!r}") from error
        return {self._names.inner(p): offset for p, offset in found.items()}

    async def offsets(self, starts: Mapping[TopicPartition, Start]) -> dict[TopicPartition, int]:
        if not starts:
            return {}
        with heeding_cancellation():
            found = await self._resolve(await self._open_ends_client(), starts)
        return {self._names.inner(p): offset for p, offset in found.items()}

    async def committed(self, group: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if not places:
            return {}
        async with self._admin(ASK_TIMEOUT_S) as admin:
            found = await admin.list_consumer_group_offsets(
                self._names.prefix + group, partitions=[self._names.outer(p) for p in places]
            )
        return {self._names.inner(p): one.offset for p, one in found.items() if one.offset >= 0}

    async def ensure(self, topics: Sequence[Topic]) -> None:
        async with self._admin(ADMIN_TIMEOUT_S) as admin:
            await kafka_topics.create_missing(admin, self._names.prefix, topics)

    async def differences(self, topics: Sequence[Topic]) -> list[str]:
        async with self._admin(ADMIN_TIMEOUT_S) as admin:
            return await kafka_topics.differences(admin, self._names.prefix, topics)

    async def close(self) -> None:
        """Ends every client that was opened on the way, all at once: brokers that are away cost their time only once."""
        producer, self._producer, self._ends_client = self._producer, None, None
        closing = [self._ends_stack.aclose()]
        if producer is not None:
            closing.append(_close(producer))
        await asyncio.gather(*closing)

    async def _open_producer(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._producer is None:
                if asyncio.get_running_loop().time() < self._away_until:
                    raise BusUnavailable("Kafka did not answer a moment ago")
                producer = AIOKafkaProducer(
                    **self._brokers,
                    enable_idempotence=True,
                    linger_ms=0,
                    max_batch_size=BATCH_BYTES,
                    request_timeout_ms=int(SEND_TIMEOUT_S * 1000),
                )
                try:
                    await _start(producer)
                except BaseException:
                    self._away_until = asyncio.get_running_loop().time() + AWAY_S
                    raise
                self._producer = producer
            return self._producer

    async def _open_ends_client(self) -> AIOKafkaConsumer:
        """A client of its own that never fetches: on one that does, the question waits for the fetch."""
        async with self._opening:
            if self._ends_client is None:
                consumer = AIOKafkaConsumer(**self._brokers, group_id=None, isolation_level="read_committed")
                self._ends_client = await self._ends_stack.enter_async_context(running(consumer))
            return self._ends_client

    @contextlib.asynccontextmanager
    async def _admin(self, timeout_s: float) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**self._brokers, request_timeout_ms=int(timeout_s * 1000))
        try:
            async with asyncio.timeout(timeout_s):
                await admin.start()
                yield admin
        except AWAY as error:
            raise BusUnavailable(f"cannot ask Kafka: {error!r}") from error
        finally:
            await admin.close()

    async def _resolve(
        self, consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, Start]
    ) -> dict[KafkaPlace, int]:
        """Offsets of edges and times. Without anything at or after its time a partition starts at its end."""
        outer = {self._names.outer(place): start for place, start in starts.items()}
        times = {p: s.timestamp_ms for p, s in outer.items() if isinstance(s, Since)}
        first = [p for p, s in outer.items() if s is Edge.BEGINNING]
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                found = {p: s for p, s in outer.items() if isinstance(s, int)}
                found |= await consumer.beginning_offsets(first) if first else {}
                by_time = await consumer.offsets_for_times(times) if times else {}
                found |= {p: one.offset for p, one in by_time.items() if one is not None}
                last = [p for p in outer if p not in found]
                found |= await consumer.end_offsets(last) if last else {}
        except AWAY as error:
            raise BusUnavailable(f"cannot ask Kafka where to start: {error!r}") from error
        return found


class KafkaStatePublisher:
    """A transactional producer. After an error it stays unusable: opening another would fence our successor."""

    def __init__(self, producer: AIOKafkaProducer, names: Names) -> None:
        self._producer = producer
        self._names = names
        self._broken: str | None = None
        self._fenced = False
        self._open_transaction = False

    async def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        if self._fenced:
            raise NotOwner("another publisher of this id has been opened")
        if self._broken is not None:
            raise BusUnavailable(f"this publisher has failed before: {self._broken}")
        try:
            with heeding_cancellation():
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._transaction(messages)
        except (ProducerFenced, InvalidProducerEpoch) as error:
            self._fenced, self._open_transaction = True, False
            _take_note(self._producer)
            raise NotOwner("another publisher of this id has been opened") from error
        except MessageSizeTooLargeError as error:
            await self.abort()
            raise ValueError(str(error)) from error
        except AWAY as error:
            self._broken = repr(error)
            raise BusUnavailable(f"transaction not committed: {error!r}") from error
        except asyncio.CancelledError:
            self._broken = "cancelled"
            raise

    async def abort(self) -> None:
        """Gives up what was begun and not committed, so that readers need not wait until it times out."""
        if not self._open_transaction:
            return
        self._open_transaction = False
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                await self._producer.abort_transaction()
        except AWAY as error:
            self._broken = repr(error)
            log.warning("kafka_transaction_not_aborted", reason=repr(error))

    async def _transaction(self, messages: Sequence[Message]) -> None:
        await self._producer.begin_transaction()
        self._open_transaction = True
        await _send_all(self._producer, self._names, messages)
        # From here on only the brokers know how it ends.
        self._open_transaction = False
        await self._producer.commit_transaction()


async def _send_all(producer: AIOKafkaProducer, names: Names, messages: Sequence[Message]) -> None:
    """In the order given for each partition. Raises MessageSizeTooLargeError; those before it may be written."""
    sent = [
        await producer.send(
            names.prefix + m.topic,
            m.value,
            key=m.key.encode(),
            partition=m.partition,
            headers=[(name, value.encode()) for name, value in m.headers.items()],
        )
        for m in messages
    ]
    await asyncio.gather(*sent)


async def _start(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await producer.start()
    except AWAY as error:
        await _close(producer)
        raise BusUnavailable(f"cannot reach Kafka: {error!r}") from error
    except asyncio.CancelledError:
        await _close(producer)
        raise


async def _close(producer: AIOKafkaProducer) -> None:
    """Lets go of a producer that has nothing left to send. Bounded: the client itself would wait for ever."""
    if await ended(producer.stop(), CLOSE_TIMEOUT_S) is not None:
        await _abandon(producer)


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Ends a producer together with what it still tries to send; there is no public way.

    Its connections go first, so that requests under way fail at once.
    """
    producer._closed = True
    await ended(producer.client.close(), ABANDON_TIMEOUT_S)
    await ended(producer._sender.close(), ABANDON_TIMEOUT_S)
    queue = producer._message_accumulator
    # A batch that waits for another try is in neither of the places that its own callback expects.
    queue._pending_batches.update(batch for batches in queue._batches.values() for batch in batches)
    queue.fail_all(ProducerClosed())
    _take_note(producer)


def _take_note(producer: AIOKafkaProducer) -> None:
    """Looks at the errors that a failed client leaves in futures of its own; Python would log them as forgotten."""
    queued = producer._message_accumulator._batches.values()
    waiters = [batch._drain_waiter for batches in queued for batch in batches]
    if producer._txn_manager is not None:
        waiters.append(producer._txn_manager.wait_for_transaction_end())
    for waiter in waiters:
        if waiter is not None and waiter.done() and not waiter.cancelled():
            waiter.exception()
