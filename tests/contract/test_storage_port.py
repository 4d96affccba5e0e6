"""The storage port: what every adapter promises about documents, guards, events, progress, leases and counters."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import orjson
import pytest
from pydantic import Field

from nija_common.bus.port import Message, NotOwner
from nija_common.errors import Conflict, ErrorCode, NijaError
from nija_common.events.base import Emission
from nija_common.events.topics import Kind, Topic
from nija_common.storage.port import Commit, Lease, Outbox, Progress, Range, Storage
from nija_common.values.document import Collection, Document, Index
from nija_common.values.ids import new_id
from nija_common.values.shards import shard_of

FACTS = Topic("nija-suite-facts", Kind.FACT, "user")
STATES = Topic("nija-suite-states", Kind.STATE, "user")


class Order(Document):
    """A document with every kind of index."""

    collection: ClassVar[Collection] = Collection(
        "orders",
        (
            Index("by_user", ("user_id", "placed_at")),
            Index("by_status", ("status", "user_id", "placed_at")),
            Index("by_symbol", ("symbol",)),
            Index("by_client_id", ("client_id",), unique=True),
            Index("one_open", ("user_id", "symbol"), unique=True, where=("status", "open")),
        ),
    )
    user_id: str = "u1"
    symbol: str = "BTC-USD"
    status: str = "done"
    placed_at: int | None = None
    client_id: str
    urgent: bool = False
    size: float = 1.5
    steps: tuple[int, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)


class Account(Document):
    """A document that many write."""

    collection: ClassVar[Collection] = Collection("accounts")
    balance: int = 0
    latched: bool = False


class Backend(Protocol):
    lease_ttl_ms: int
    at_once: int
    window_ms: int

    def storage(self, service: str = "orders") -> Storage: ...
    def outbox(self, service: str = "orders") -> Outbox | None: ...
    async def ensure(self, topics: Sequence[Topic]) -> None: ...
    async def sent(self, topic: Topic, service: str = "orders") -> list[Message]: ...
    async def restart(self) -> None: ...
    async def pass_ms(self, ms: int) -> None: ...


@pytest.fixture
async def store(storage_backend: Backend) -> Backend:
    await storage_backend.storage().migrate([Order, Account])
    await storage_backend.ensure([FACTS, STATES])
    return storage_backend


def order(number: int, **fields: Any) -> Order:
    return Order(id=f"ord_{number:03}", client_id=f"c{number}", **fields)


def emission(key: str = "u1", topic: Topic = FACTS, text: str = "") -> Emission:
    return Emission(
        id=new_id("evt"),
        topic=topic,
        key=key,
        partition=shard_of(key),
        type="suite.happened",
        version=1,
        source="orders",
        time_ms=1_769_683_320_000,
        correlation_id="cor",
        causation_id=None,
        traceparent=None,
        data={"user_id": key, "text": text},
    )


def commit(**parts: Any) -> Commit:
    return Commit(new_id("cmt"), **parts)


async def saved(store: Backend, *documents: Document) -> None:
    await store.storage().commit(commit(saves=list(documents)))


async def seqs(store: Backend, topic: Topic = FACTS) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for message in await store.sent(topic):
        found.setdefault(message.key, []).append(orjson.loads(message.value)["seq"])
    return found


# Documents and their versions.


async def test_a_document_comes_back_as_it_was_saved_one_version_on(store: Backend) -> None:
    first = order(1, placed_at=7, urgent=True, size=0.1, steps=(1, 2), labels={"a": "ö\u2028'\"\\"})
    await saved(store, first)
    read = await store.storage().get(Order, "ord_001")
    assert read == first.model_copy(update={"version": 1})
    assert await store.storage().get(Order, "ord_002") is None


async def test_the_latest_of_a_document_is_what_was_committed_last(store: Backend) -> None:
    assert await store.storage().get_latest(Account, "a") is None
    await saved(store, Account(id="a", balance=1))
    read = await store.storage().get_latest(Account, "a")
    assert read == Account(id="a", version=1, balance=1)


async def test_get_many_answers_those_that_exist_by_id(store: Backend) -> None:
    await saved(store, order(1), order(2))
    found = await store.storage().get_many(Order, ["ord_002", "ord_009", "ord_001", "ord_001"])
    assert set(found) == {"ord_001", "ord_002"}
    assert await store.storage().get_many(Order, []) == {}


async def test_versions_are_those_of_the_documents_that_exist(store: Backend) -> None:
    await saved(store, order(1), order(2))
    second = await store.storage().get(Order, "ord_002")
    assert second is not None
    await saved(store, second)
    assert await store.storage().versions(Order, ["ord_002", "ord_009", "ord_001"]) == {"ord_001": 1, "ord_002": 2}
    assert await store.storage().versions(Order, []) == {}


async def test_integers_of_64_bits_and_floats_come_back_exactly(store: Backend) -> None:
    await saved(store, Account(id="a", balance=2**63 - 1), order(1, placed_at=-(2**53) - 1, size=0.1 + 0.2))
    account, read = await store.storage().get(Account, "a"), await store.storage().get(Order, "ord_001")
    assert account is not None and account.balance == 2**63 - 1
    assert read is not None and (read.placed_at, read.size) == (-(2**53) - 1, 0.1 + 0.2)


async def test_a_stale_version_is_a_conflict(store: Backend) -> None:
    await saved(store, Account(id="a"))
    read = await store.storage().get(Account, "a")
    assert read is not None
    await saved(store, read.model_copy(update={"balance": 1}))
    with pytest.raises(Conflict):
        await saved(store, read.model_copy(update={"balance": 2}))
    with pytest.raises(Conflict):
        await store.storage().commit(commit(deletes=[read]))
    with pytest.raises(Conflict):
        await store.storage().commit(commit(guards=[read]))
    now = await store.storage().get(Account, "a")
    assert now is not None and (now.balance, now.version) == (1, 2)


async def test_inserting_what_is_there_and_replacing_what_is_gone_are_conflicts(store: Backend) -> None:
    await saved(store, Account(id="a"))
    with pytest.raises(Conflict):
        await saved(store, Account(id="a"))
    read = await store.storage().get(Account, "a")
    assert read is not None
    await store.storage().commit(commit(deletes=[read]))
    assert await store.storage().get(Account, "a") is None
    with pytest.raises(Conflict):
        await saved(store, read)


async def test_services_do_not_see_each_others_documents_or_seqs(store: Backend) -> None:
    await store.storage("other").migrate([Account])
    await saved(store, Account(id="a"))
    assert await store.storage("other").get(Account, "a") is None
    await store.storage().commit(commit(emissions=[emission()]))
    await store.storage("other").commit(commit(emissions=[emission()]))
    assert [orjson.loads(m.value)["seq"] for m in await store.sent(FACTS, "other")][-1] == 1


async def test_what_was_committed_is_there_after_a_crash(store: Backend) -> None:
    await store.storage().commit(
        commit(saves=[Account(id="a", balance=5)], emissions=[emission()], progress=[Progress("g", "t", 3, 9)])
    )
    await store.restart()
    read = await store.storage().get(Account, "a")
    assert read is not None and read.balance == 5
    assert await store.storage().progress("g", "t") == {3: 9}
    assert await seqs(store) == {"u1": [1]}
    await store.storage().commit(commit(emissions=[emission()]))
    assert await seqs(store) == {"u1": [1, 2]}


# Indexes.


async def test_a_unique_value_is_taken_once(store: Backend) -> None:
    await saved(store, order(1))
    with pytest.raises(Conflict):
        await saved(store, order(2).model_copy(update={"client_id": "c1"}))
    assert await store.storage().get(Order, "ord_002") is None


async def test_a_partially_unique_value_is_taken_once_where_the_condition_holds(store: Backend) -> None:
    await saved(store, order(1, status="open"), order(2), order(3))
    read = await store.storage().get(Order, "ord_002")
    assert read is not None
    with pytest.raises(Conflict):
        await saved(store, read.model_copy(update={"status": "open"}))
    first = await store.storage().get(Order, "ord_001")
    assert first is not None
    await saved(store, first.model_copy(update={"status": "done"}))
    await saved(store, read.model_copy(update={"status": "open"}))


async def test_a_value_freed_by_a_delete_can_be_taken_in_the_same_commit(store: Backend) -> None:
    await saved(store, order(1))
    read = await store.storage().get(Order, "ord_001")
    assert read is not None
    await store.storage().commit(commit(saves=[order(2).model_copy(update={"client_id": "c1"})], deletes=[read]))
    assert await store.storage().get(Order, "ord_001") is None


async def test_a_partial_index_finds_only_what_its_condition_holds_for(store: Backend) -> None:
    await saved(store, order(1, status="open"), order(2), order(3, symbol="ETH-USD", status="open"))
    page = await store.storage().find(Order, "one_open", ["u1"], limit=10)
    assert [o.id for o in page.items] == ["ord_001", "ord_003"]
    assert await store.storage().count(Order, "one_open") == 2


async def _listed(store: Backend, index: str, equals: Sequence[Any] = (), **how: Any) -> list[str]:
    page = await store.storage().find(Order, index, equals, how.pop("within", None), limit=100, **how)
    assert page.after is None
    return [o.id for o in page.items]


@pytest.fixture
async def listed(store: Backend) -> Backend:
    times = [50, None, 10, 30, 30, None, 20]
    orders = [order(i, placed_at=at) for i, at in enumerate(times)]
    others = [order(10 + i, user_id="u2", placed_at=i, symbol=f"S{i}") for i in range(3)]
    await saved(store, *orders, *others)
    return store


UP = ["ord_001", "ord_005", "ord_002", "ord_006", "ord_003", "ord_004", "ord_000"]


async def test_find_lists_in_index_order_null_first_then_by_id(listed: Backend) -> None:
    assert await _listed(listed, "by_user", ["u1"]) == UP
    assert await _listed(listed, "by_user", ["u1"], descending=True) == UP[::-1]


async def test_find_by_all_fields_lists_by_id(listed: Backend) -> None:
    assert await _listed(listed, "by_user", ["u1", 30]) == ["ord_003", "ord_004"]
    assert await _listed(listed, "by_user", ["u1", 30], descending=True) == ["ord_004", "ord_003"]


async def test_find_without_conditions_walks_the_whole_index(listed: Backend) -> None:
    assert await _listed(listed, "by_user") == [*UP, "ord_010", "ord_011", "ord_012"]


async def test_a_range_includes_its_low_end_excludes_its_high_end_and_never_holds_null(listed: Backend) -> None:
    assert await _listed(listed, "by_user", ["u1"], within=Range(20, 30)) == ["ord_006"]
    assert await _listed(listed, "by_user", ["u1"], within=Range(20, 31)) == ["ord_006", "ord_003", "ord_004"]
    assert await _listed(listed, "by_user", ["u1"], within=Range(low=30)) == ["ord_003", "ord_004", "ord_000"]
    assert await _listed(listed, "by_user", ["u1"], within=Range(high=20)) == ["ord_002"]
    assert await _listed(listed, "by_user", ["u1"], within=Range()) == UP
    assert await _listed(listed, "by_user", within=Range("u2")) == ["ord_010", "ord_011", "ord_012"]


async def test_a_prefix_holds_every_text_that_begins_so(store: Backend) -> None:
    symbols = ["A", "BT", "BTC", "BTC-USD", "BTC\U0001f600", "BU", "btc", "Bé"]
    await saved(store, *(order(i, symbol=s) for i, s in enumerate(symbols)))
    page = await store.storage().find(Order, "by_symbol", within=Range.prefix("BTC"), limit=10)
    assert [o.symbol for o in page.items] == ["BTC", "BTC-USD", "BTC\U0001f600"]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
async def test_cursors_walk_every_document_once_nulls_and_ties_included(
    listed: Backend, limit: int, descending: bool
) -> None:
    found: list[str] = []
    after: str | None = None
    while True:
        page = await listed.storage().find(Order, "by_user", ["u1"], limit=limit, descending=descending, after=after)
        assert len(page.items) <= limit
        found += [o.id for o in page.items]
        if (after := page.after) is None:
            break
    assert found == (UP[::-1] if descending else UP)


async def test_a_cursor_stays_in_its_range_and_sees_what_came_behind_it(listed: Backend) -> None:
    within = Range(10, 40)
    page = await listed.storage().find(Order, "by_user", ["u1"], within, limit=2)
    await saved(listed, order(8, placed_at=15), order(9, placed_at=35))
    rest = await listed.storage().find(Order, "by_user", ["u1"], within, limit=10, after=page.after)
    assert [o.id for o in rest.items] == ["ord_003", "ord_004", "ord_009"]


async def test_a_cursor_of_another_query_or_of_nobody_is_refused(listed: Backend) -> None:
    page = await listed.storage().find(Order, "by_user", ["u1"], limit=2)
    for equals, after in ((["u2"], page.after), (["u1"], "nonsense"), (["u1"], ""), (["u1"], "ä")):
        with pytest.raises(ValueError):
            await listed.storage().find(Order, "by_user", equals, limit=2, after=after)
    with pytest.raises(ValueError):
        await listed.storage().find(Order, "by_user", ["u1"], limit=2, after=page.after, descending=True)


async def test_skip_leaves_out_the_first(listed: Backend) -> None:
    page = await listed.storage().find(Order, "by_user", ["u1"], limit=2, skip=3)
    assert [o.id for o in page.items] == UP[3:5]


async def test_count_counts_what_find_would_list(listed: Backend) -> None:
    storage = listed.storage()
    assert await storage.count(Order, "by_user") == 10
    assert await storage.count(Order, "by_user", ["u1"]) == 7
    assert await storage.count(Order, "by_user", ["u1"], Range(10, 30)) == 2
    assert await storage.count(Order, "by_user", ["u1", 30]) == 2
    assert await storage.count(Order, "by_user", ["nobody"]) == 0


async def test_a_query_that_does_not_fit_is_refused(listed: Backend) -> None:
    storage = listed.storage()
    with pytest.raises(KeyError):
        await storage.find(Order, "by_nothing", limit=1)
    with pytest.raises(KeyError):
        await storage.count(Order, "by_nothing")
    with pytest.raises(ValueError):
        await storage.find(Order, "by_symbol", ["a", "b"], limit=1)
    with pytest.raises(ValueError):
        await storage.find(Order, "by_symbol", ["a"], Range("a"), limit=1)
    with pytest.raises(ValueError):
        await storage.find(Order, "by_symbol", ["a"], limit=0)


async def test_migrate_is_idempotent_and_differences_tell_what_is_missing(store: Backend) -> None:
    storage = store.storage("fresh")
    assert await storage.differences([Order]) != []
    await storage.migrate([Order])
    await storage.migrate([Order])
    assert await storage.differences([Order]) == []


async def test_what_another_version_has_left_is_unknown_and_no_difference(store: Backend) -> None:
    class Older(Document):
        collection: ClassVar[Collection] = Collection("accounts", (Index("by_gone", ("balance",)),))
        balance: int = 0

    class Gone(Document):
        collection: ClassVar[Collection] = Collection("gone")

    storage = store.storage("versions")
    await storage.migrate([Older, Gone])
    await storage.migrate([Account])
    assert await storage.differences([Account]) == []
    told = await storage.unknown([Account])
    assert len(told) == 2 and "collection gone is declared by nobody" in told
    assert any("by_gone is declared by nobody" in one for one in told)


async def test_a_scan_walks_by_id_whatever_changes_meanwhile(store: Backend) -> None:
    await saved(store, *(Account(id=f"a{i:02}") for i in range(7)))
    storage = store.storage()
    page = await storage.scan(Account, limit=3)
    assert [found.id for found in page.items] == ["a00", "a01", "a02"]
    (first,) = (await storage.get_many(Account, ["a00"])).values()
    await storage.commit(commit(saves=[first.model_copy(update={"balance": 9}), Account(id="a021")]))
    seen: list[str] = []
    while page.after is not None:
        page = await storage.scan(Account, limit=2, after=page.after)
        seen += [found.id for found in page.items]
    assert seen == ["a021", "a03", "a04", "a05", "a06"]
    assert (await storage.scan(Account, limit=7, after="a06")).items == ()


async def test_an_index_declared_later_covers_what_is_there(store: Backend) -> None:
    class Later(Document):
        collection: ClassVar[Collection] = Collection("accounts", (Index("by_balance", ("balance",)),))
        balance: int = 0
        latched: bool = False

    await saved(store, *(Account(id=f"a{i}", balance=9 - i) for i in range(3)))
    assert await store.storage().differences([Later]) != []
    await store.storage().migrate([Later])
    page = await store.storage().find(Later, "by_balance", limit=10)
    assert [found.balance for found in page.items] == [7, 8, 9]


async def test_a_stored_field_that_the_class_does_not_know_fails_loudly(store: Backend) -> None:
    class Narrow(Document):
        collection: ClassVar[Collection] = Collection("accounts")
        balance: int = 0

    await saved(store, Account(id="a"))
    with pytest.raises(NijaError) as caught:
        await store.storage().get(Narrow, "a")
    assert caught.value.code is ErrorCode.DATABASE_ERROR
    assert "latched" in caught.value.message


# One commit: all or nothing.


@pytest.mark.parametrize("wrong", ["save", "insert", "unique", "delete", "guard"])
async def test_a_conflict_in_any_part_leaves_nothing_of_the_commit(store: Backend, wrong: str) -> None:
    await saved(store, Account(id="a"), Account(id="b"), Account(id="c"), order(1))
    storage = store.storage()
    fresh = await storage.get_many(Account, ["a", "b", "c"])
    stale = fresh["c"].model_copy(update={"version": 7})
    parts: dict[str, list[Document]] = {
        "saves": [fresh["a"].model_copy(update={"balance": 1}), Account(id="new")],
        "deletes": [fresh["b"]],
        "guards": [],
    }
    match wrong:
        case "save":
            parts["saves"].append(stale)
        case "insert":
            parts["saves"].append(Account(id="c"))
        case "unique":
            parts["saves"].append(order(2).model_copy(update={"client_id": "c1"}))
        case "delete":
            parts["deletes"].append(stale)
        case "guard":
            parts["guards"].append(stale)
    everything = commit(
        **parts,
        emissions=[emission(), emission(topic=STATES)],
        raw=[Message(FACTS.name, 3, "raw", b"x")],
        progress=[Progress("g", "t", 0, 5, {("s", "k"): 2})],
    )
    with pytest.raises(Conflict):
        await storage.commit(everything)
    assert await storage.get_many(Account, ["a", "b", "c", "new"]) == fresh
    assert await store.sent(FACTS) == [] and await store.sent(STATES) == []
    assert await storage.progress("g", "t") == {}
    assert await storage.last_seqs("g", "t", [("s", "k")]) == {}
    await storage.commit(commit(emissions=[emission()]))
    assert await seqs(store) == {"u1": [1]}, "a commit that lost draws no seq"


async def test_a_commit_holds_all_its_parts(store: Backend) -> None:
    await saved(store, Account(id="a"), Account(id="b"), Account(id="c"))
    storage = store.storage()
    old = await storage.get_many(Account, ["a", "b", "c"])
    await storage.commit(
        commit(
            saves=[old["a"].model_copy(update={"balance": 1})],
            deletes=[old["b"]],
            guards=[old["c"]],
            emissions=[emission(text="one"), emission(text="two")],
            raw=[Message(FACTS.name, shard_of("u1"), "u1", b"raw", {"h": "v"})],
            progress=[Progress("g", "t", 0, 5, {("s", "k"): 2})],
        )
    )
    now = await storage.get_many(Account, ["a", "b", "c"])
    assert set(now) == {"a", "c"} and now["a"].balance == 1
    messages = await store.sent(FACTS)
    assert [orjson.loads(m.value)["data"]["text"] for m in messages[:2]] == ["one", "two"]
    assert messages[2] == Message(FACTS.name, shard_of("u1"), "u1", b"raw", {"h": "v"})
    assert messages[0].headers["type"] == "suite.happened"
    assert await storage.progress("g", "t") == {0: 5}
    assert await storage.last_seqs("g", "t", [("s", "k"), ("s", "other")]) == {("s", "k"): 2}
    seqs, found = await storage.read_ahead("g", "t", [("s", "k"), ("s", "other")], {Account: ["nobody"], Order: []})
    assert (seqs, found) == ({("s", "k"): 2}, {Account: {}, Order: {}})


async def test_a_commit_repeated_with_its_id_has_no_second_effect(store: Backend) -> None:
    once = commit(saves=[Account(id="a", balance=1)], emissions=[emission()])
    await store.storage().commit(once)
    await store.storage().commit(once)
    read = await store.storage().get(Account, "a")
    assert read is not None and read.version == 1
    assert await seqs(store) == {"u1": [1]}


async def test_of_two_that_read_the_same_and_write_different_documents_one_loses(store: Backend) -> None:
    """Write skew: each may act only while the other's account is not latched."""
    storage = store.storage()
    for round_ in range(10):
        ids = (f"x{round_}", f"y{round_}")
        await saved(store, *(Account(id=i) for i in ids))
        both_read = asyncio.Barrier(2)

        async def act(own: str, other: str, both_read: asyncio.Barrier = both_read) -> str:
            read = await storage.get_many(Account, [own, other])
            await both_read.wait()
            latched = read[own].model_copy(update={"latched": True})
            try:
                await storage.commit(commit(saves=[latched], guards=[read[other]]))
            except Conflict:
                return "lost"
            return "won"

        assert sorted(await asyncio.gather(act(*ids), act(*ids[::-1]))) == ["lost", "won"]
        now = await storage.get_many(Account, ids)
        assert sum(account.latched for account in now.values()) == 1


async def test_guards_of_the_same_document_do_not_keep_each_other_out_forever(store: Backend) -> None:
    await saved(store, Account(id="shared"))

    async def insert(number: int) -> None:
        while True:
            shared = await store.storage().get(Account, "shared")
            assert shared is not None
            try:
                await store.storage().commit(commit(saves=[Account(id=f"n{number}")], guards=[shared]))
            except Conflict:
                await asyncio.sleep(random.uniform(0, 0.02))
            else:
                return

    async with asyncio.timeout(30):
        await asyncio.gather(*(insert(i) for i in range(8)))


async def test_many_writers_of_one_document_lose_no_increment(store: Backend) -> None:
    await saved(store, Account(id="hot"))
    storage = store.storage()

    async def increment() -> None:
        attempt = 0
        while True:
            attempt += 1
            read = await storage.get(Account, "hot")
            assert read is not None
            more = read.model_copy(update={"balance": read.balance + 1})
            try:
                await storage.commit(commit(saves=[more], emissions=[emission("hot")]), deadline_s=30)
            except Conflict:
                await asyncio.sleep(random.uniform(0, min(0.002 * 2**attempt, 0.25)))
            else:
                return

    async with asyncio.timeout(60):
        await asyncio.gather(*(increment() for _ in range(store.at_once)))
    read = await storage.get(Account, "hot")
    assert read is not None and read.balance == store.at_once
    assert await seqs(store) == {"hot": list(range(1, store.at_once + 1))}


# Events and progress.


async def test_seqs_are_gapless_for_each_topic_and_key_under_concurrency(store: Backend) -> None:
    keys = ["u1", "u2", "u3"]

    async def emit(number: int) -> None:
        events = [emission(keys[(number + i) % 3], (FACTS, STATES)[i % 2]) for i in range(4)]
        await store.storage().commit(commit(emissions=events), deadline_s=30)

    await asyncio.gather(*(emit(i) for i in range(store.at_once)))
    for topic in (FACTS, STATES):
        found = await seqs(store, topic)
        assert sum(map(len, found.values())) == 2 * store.at_once
        for numbers in found.values():
            assert numbers == list(range(1, len(numbers) + 1)), "in order within the key, without a hole"


async def test_the_envelope_carries_seq_and_revision(store: Backend) -> None:
    await store.storage().commit(commit(emissions=[emission(), emission()]))
    envelopes = [orjson.loads(m.value) for m in await store.sent(FACTS)]
    assert [e["seq"] for e in envelopes] == [1, 2]
    assert [e["revision"][1] for e in envelopes] == [1, 2]
    assert envelopes[0]["revision"][0] == envelopes[1]["revision"][0] >= 1


async def test_progress_only_rises(store: Backend) -> None:
    storage = store.storage()
    for offset, seq in ((5, 3), (3, 2), (9, 3)):
        await storage.commit(commit(progress=[Progress("g", "t", 1, offset, {("s", "k"): seq})]))
    assert await storage.progress("g", "t") == {1: 9}
    assert await storage.last_seqs("g", "t", [("s", "k")]) == {("s", "k"): 3}
    assert await storage.progress("other", "t") == {} and await storage.progress("g", "other") == {}


async def test_events_that_another_member_has_applied_meanwhile_are_a_conflict(store: Backend) -> None:
    storage = store.storage()
    first = Progress("g", "t", 1, 5, {("s", "k"): 3}, seqs_found={})
    await storage.commit(commit(progress=[first]))
    for stale in (first, Progress("g", "t", 1, 6, {("s", "k"): 4}, seqs_found={("s", "k"): 2})):
        with pytest.raises(Conflict):
            await storage.commit(commit(saves=[Account(id="twice")], progress=[stale]))
    assert await storage.get(Account, "twice") is None
    await storage.commit(commit(progress=[Progress("g", "t", 1, 6, {("s", "k"): 4}, seqs_found={("s", "k"): 3})]))
    assert await storage.last_seqs("g", "t", [("s", "k")]) == {("s", "k"): 4}


# Outbox.


async def lease_of(store: Backend, holder: str = "relay", ttl_ms: int = 20_000) -> Lease:
    lease = await store.storage().take("relay", holder, ttl_ms)
    assert lease is not None
    return lease


async def test_the_outbox_gives_rows_in_seq_order_until_they_are_published(store: Backend) -> None:
    outbox = store.outbox()
    if outbox is None:
        assert await store.storage().wait_published("any", 0.0), "the log took the events in the commit itself"
        return
    first = commit(emissions=[emission(), emission(topic=STATES), emission()])
    await store.storage().commit(first)
    rows = await outbox.pending(10)
    assert [(row.message.topic, row.seq, row.state) for row in rows if row.message.topic == FACTS.name] == [
        (FACTS.name, 1, False),
        (FACTS.name, 2, False),
    ]
    assert [row.state for row in rows if row.message.topic == STATES.name] == [True]
    assert not await store.storage().wait_published(first.id, 0.0)
    lease = await lease_of(store)
    await outbox.mark_published(rows[:1], lease)
    assert [row.id for row in await outbox.pending(10)] == [row.id for row in rows[1:]]
    waiting = asyncio.create_task(store.storage().wait_published(first.id, 10.0))
    await outbox.mark_published(rows[1:], lease)
    assert await waiting
    assert await outbox.pending(10) == []


async def test_a_relay_that_lost_its_lease_removes_nothing(store: Backend) -> None:
    outbox = store.outbox()
    if outbox is None:
        return
    await store.storage().commit(commit(emissions=[emission()]))
    old = await lease_of(store, "old", store.lease_ttl_ms)
    await store.pass_ms(store.lease_ttl_ms)
    await lease_of(store, "new")
    rows = await outbox.pending(10)
    with pytest.raises(NotOwner):
        await outbox.mark_published(rows, old)
    assert await outbox.pending(10) == rows


async def test_whoever_waits_on_the_outbox_is_woken_by_a_commit(store: Backend) -> None:
    outbox = store.outbox()
    if outbox is None:
        return
    assert await outbox.pending(10) == []
    waiting = asyncio.create_task(outbox.changed(20.0))
    await store.storage().commit(commit(emissions=[emission()]))
    async with asyncio.timeout(10):
        await waiting
        while not await outbox.pending(10):
            await outbox.changed(20.0)


# Leases.


async def test_a_lease_is_held_by_one_and_renewed_in_its_epoch(store: Backend) -> None:
    storage = store.storage()
    first = await storage.take("shard-1", "a", store.lease_ttl_ms)
    assert first is not None and first.epoch == 1
    assert await storage.take("shard-1", "b", store.lease_ttl_ms) is None
    again = await storage.take("shard-1", "a", store.lease_ttl_ms)
    assert again is not None and again.epoch == 1 and again.expires_at_ms >= first.expires_at_ms


async def test_an_expired_lease_passes_on_in_a_higher_epoch(store: Backend) -> None:
    storage = store.storage()
    first = await storage.take("shard-1", "a", store.lease_ttl_ms)
    await store.pass_ms(store.lease_ttl_ms)
    second = await storage.take("shard-1", "b", store.lease_ttl_ms)
    assert first is not None and second is not None
    assert second.holder == "b" and second.epoch == first.epoch + 1
    await storage.release(first)
    assert [lease.holder for lease in await storage.leases("shard-")] == ["b"], "the old holder gives nothing back"


async def test_taking_ones_own_lease_after_it_ran_out_raises_the_epoch(store: Backend) -> None:
    storage = store.storage()
    first = await storage.take("shard-1", "a", store.lease_ttl_ms)
    await store.pass_ms(store.lease_ttl_ms)
    second = await storage.take("shard-1", "a", store.lease_ttl_ms)
    assert first is not None and second is not None and second.epoch == first.epoch + 1


async def test_a_released_lease_is_free_and_its_epoch_is_not_forgotten(store: Backend) -> None:
    storage = store.storage()
    first = await storage.take("shard-1", "a", store.lease_ttl_ms)
    assert first is not None
    await storage.release(first)
    assert await storage.leases("shard-") == []
    second = await storage.take("shard-1", "b", store.lease_ttl_ms)
    assert second is not None and second.epoch == 2


async def test_many_takers_of_a_free_lease_get_it_once(store: Backend) -> None:
    storage = store.storage()
    taken = await asyncio.gather(*(storage.take("shard-1", f"w{i}", 60_000) for i in range(12)))
    assert sum(lease is not None for lease in taken) == 1


async def test_leases_lists_those_alive_by_prefix(store: Backend) -> None:
    storage = store.storage()
    await storage.take("shard-1", "a", store.lease_ttl_ms)
    await store.pass_ms(store.lease_ttl_ms)
    await storage.take("shard-2", "a", store.lease_ttl_ms)
    await storage.take("worker-1", "a", store.lease_ttl_ms)
    assert [lease.name for lease in await storage.leases("shard-")] == ["shard-2"]


# Counters.


async def test_a_counter_grants_up_to_its_limit_in_each_window(store: Backend) -> None:
    storage = store.storage()
    window = store.window_ms
    await store.pass_ms(window - await storage.now_ms() % window)
    first = await storage.draw("calls", 3, 5, window)
    second = await storage.draw("calls", 3, 5, window)
    third = await storage.draw("calls", 1, 5, window)
    assert [(d.granted, d.used, d.limit) for d in (first, second, third)] == [(3, 3, 5), (2, 5, 5), (0, 5, 5)]
    assert first.resets_at_ms % window == 0 and 0 < first.resets_at_ms - first.now_ms <= window
    await store.pass_ms(first.resets_at_ms - await storage.now_ms())
    fresh = await storage.draw("calls", 1, 5, window)
    assert (fresh.granted, fresh.used) == (1, 1)


async def test_what_is_given_back_can_be_drawn_again_but_never_more(store: Backend) -> None:
    storage = store.storage()
    window = store.window_ms
    await store.pass_ms(window - await storage.now_ms() % window)
    await storage.draw("calls", 4, 5, window)
    assert (await storage.draw("calls", -3, 5, window)).used == 1
    assert (await storage.draw("calls", -3, 5, window)).used == 0
    assert (await storage.draw("calls", 9, 5, window)).granted == 5


async def test_concurrent_draws_never_grant_more_than_the_limit(store: Backend) -> None:
    storage = store.storage()
    window = store.window_ms
    await store.pass_ms(window - await storage.now_ms() % window)
    drawn = await asyncio.gather(*(storage.draw("calls", 2, 15, window) for _ in range(12)))
    assert sum(draw.granted for draw in drawn) == 15
