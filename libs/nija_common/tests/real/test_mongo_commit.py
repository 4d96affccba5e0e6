"""Commits to MongoDB where something breaks in the middle: the process dies, or the answer to the commit is lost."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import orjson
import pytest

from nija_common.bus.port import Message
from nija_common.errors import Conflict, ErrorCode, NijaError, SettingsError
from nija_common.storage.mongo import MongoServer
from nija_common.storage.port import Commit, Storage
from nija_common.testing.mongo import url_of
from nija_common.testing.processes import Server, free_ports
from nija_common.values.document import Collection, Document, Index
from nija_common.values.ids import new_id

pytestmark = pytest.mark.mongo

SCRIPT = Path(__file__).with_name("crashing_commit.py")


class Counter(Document):
    collection: ClassVar[Collection] = Collection("counters", (Index("by_value", ("value",)),))
    value: int = 0


@pytest.fixture
async def server(mongo_url: str, namespace: str) -> AsyncIterator[MongoServer]:
    async with MongoServer.open(mongo_url, namespace=namespace) as server:
        await server.storage("crash").migrate([Counter])
        yield server


# A process that dies.


async def test_a_commit_killed_around_any_of_its_commands_is_there_whole_or_not_at_all(
    server: MongoServer, mongo_url: str, namespace: str
) -> None:
    script = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), mongo_url, namespace, stdout=subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(script.communicate(), 100)
    assert script.returncode == 0
    ends = dict(line.split() for line in out.decode().splitlines())
    assert len(ends) > 16 and list(ends.values()).count("whole") == 1, "every command of the commit had its turn"
    rows = await server.outbox("crash").pending(1_000)
    storage = server.storage("crash")
    progress = await storage.progress("group", "facts")
    done: list[bool] = []
    for k, end in ends.items():
        found = await storage.get_many(Counter, [f"a{k}", f"b{k}", f"c{k}"])
        key = f"k{k}"
        signs = {
            found[f"a{k}"].version == 2,
            found[f"a{k}"].value == 1,
            f"b{k}" in found,
            found[f"c{k}"].version == 2,
            progress.get(int(k)) == 7,
            await storage.last_seqs("group", "facts", [("source", key)]) == {("source", key): 3},
            [row.seq for row in rows if row.message.key == key and not row.state] == [1, 2],
            [row.seq for row in rows if row.message.key == key and row.state] == [1],
        }
        assert len(signs) == 1, f"child {k} left a part of its commit"
        done.append(signs.pop())
        assert done[-1] or end == "killed"
        # What the dead one held is free again once the server's limit for transactions has passed.
        again = found[f"a{k}"].model_copy(update={"value": 9})
        await storage.commit(Commit(new_id("cmt"), saves=[again], guards=[found[f"c{k}"]]), deadline_s=20)
    assert done == sorted(done), "once the server has the commit, it is done"


# An answer that is lost.


class Cutter:
    """A TCP relay before the server that cuts connections at `commitTransaction`, the given number of times."""

    def __init__(self) -> None:
        self.cuts = 0
        self.forward = True
        self.seen = 0

    async def serve(self, host: str, port: int, client: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        upstream, to_server = await asyncio.open_connection(host, port)
        cut = asyncio.Event()

        async def requests() -> None:
            while data := await client.read(65536):
                if b"commitTransaction" in data:
                    self.seen += 1
                    if self.cuts > 0:
                        self.cuts -= 1
                        cut.set()
                        if not self.forward:
                            return
                to_server.write(data)
                await to_server.drain()

        async def answers() -> None:
            while data := await upstream.read(65536):
                if cut.is_set():
                    return
                out.write(data)
                await out.drain()

        tasks = [asyncio.create_task(requests()), asyncio.create_task(answers())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            to_server.close()
            out.close()


@asynccontextmanager
async def cutting(mongo_url: str) -> AsyncIterator[tuple[Cutter, str]]:
    address = urlsplit(mongo_url)
    cutter = Cutter()
    host, port = address.hostname or "127.0.0.1", address.port or 27017

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await cutter.serve(host, port, reader, writer)

    relay = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with relay:
        own = relay.sockets[0].getsockname()[1]
        # Not by discovery: the replica set would tell the server's own address.
        yield cutter, f"mongodb://127.0.0.1:{own}/?directConnection=true&serverMonitoringMode=poll"


@pytest.fixture
async def cut(mongo_url: str, namespace: str) -> AsyncIterator[tuple[Cutter, MongoServer]]:
    async with cutting(mongo_url) as (cutter, url), MongoServer.open(url, namespace=namespace) as server:
        await server.storage("crash").migrate([Counter])
        yield cutter, server


async def counted(server: MongoServer) -> tuple[Counter | None, list[int]]:
    rows = await server.outbox("crash").pending(100)
    return await server.storage("crash").get(Counter, "a"), [row.seq for row in rows]


def raising() -> Commit:
    return Commit(new_id("cmt"), saves=[Counter(id="a")], raw=[Message("t", 0, "k", b"v")])


@pytest.mark.parametrize("forward", [True, False], ids=["after the server has it", "before the server has it"])
async def test_a_commit_whose_answer_is_lost_for_a_while_is_done_once(
    cut: tuple[Cutter, MongoServer], forward: bool
) -> None:
    cutter, server = cut
    cutter.cuts, cutter.forward = 3, forward
    await server.storage("crash").commit(raising(), deadline_s=5)
    assert cutter.seen > 3
    stored, rows = await counted(server)
    assert stored is not None and stored.version == 1 and len(rows) == 1


async def test_a_commit_whose_answer_never_comes_is_done_if_its_id_is_there(cut: tuple[Cutter, MongoServer]) -> None:
    cutter, server = cut
    cutter.cuts = 1_000_000
    await server.storage("crash").commit(raising(), deadline_s=0.5)
    cutter.cuts = 0
    stored, rows = await counted(server)
    assert stored is not None and stored.version == 1 and len(rows) == 1


async def test_a_commit_that_never_reaches_the_server_is_unavailable_and_changed_nothing(
    cut: tuple[Cutter, MongoServer],
) -> None:
    cutter, server = cut
    cutter.cuts, cutter.forward = 1_000_000, False
    with pytest.raises(NijaError) as failure:
        await server.storage("crash").commit(raising(), deadline_s=0.5)
    assert failure.value.code is ErrorCode.SERVICE_UNAVAILABLE
    cutter.cuts = 0
    assert await counted(server) == (None, [])


async def test_the_same_commit_again_changes_nothing(server: MongoServer) -> None:
    storage = server.storage("crash")
    commit = raising()
    await storage.commit(commit)
    await storage.commit(commit)
    stored, rows = await counted(server)
    assert stored is not None and stored.version == 1 and len(rows) == 1


# Others at the same moment.


async def test_two_who_read_the_same_and_write_different_documents_never_both_win(server: MongoServer) -> None:
    storage = server.storage("crash")
    await storage.commit(Commit(new_id("cmt"), saves=[Counter(id=n) for n in ("shared", "left", "right")]))
    for turn in range(25):
        read = await storage.get_many(Counter, ["shared", "left", "right"])

        async def write(mine: str, read: dict[str, Counter] = read, turn: int = turn) -> bool:
            changed = read[mine].model_copy(update={"value": turn + 1})
            try:
                await storage.commit(Commit(new_id("cmt"), saves=[changed], guards=[read["shared"]]))
            except Conflict:
                return False
            return True

        won = await asyncio.gather(write("left"), write("right"))
        assert sorted(won) == [False, True]
        after = await storage.get_many(Counter, ["left", "right"])
        assert sorted(after[n].value == turn + 1 for n in ("left", "right")) == [False, True]


async def test_raw_records_of_a_key_leave_in_the_order_of_their_commits(server: MongoServer) -> None:
    storage = server.storage("crash")
    for number in range(30):
        message = Message("parked", 0, f"k{number % 2}", orjson.dumps(number))
        await storage.commit(Commit(new_id("cmt"), raw=[message]))
    rows = await server.outbox("crash").pending(7)
    assert {row.seq for row in rows} == {0}
    for key in ("k0", "k1"):
        values = [orjson.loads(row.message.value) for row in rows if row.message.key == key]
        assert values == list(range(int(key[1]), 2 * len(values), 2)), "the oldest, without a gap"


async def test_rows_stamped_by_a_clock_that_is_ahead_do_not_overtake_their_key(
    server: MongoServer, mongo_url: str, namespace: str
) -> None:
    storage = server.storage("crash")
    for number in range(6):
        await storage.commit(Commit(new_id("cmt"), raw=[Message("parked", 0, "k", orjson.dumps(number))]))
    outbox: Any = server._client[f"{namespace}nija_crash"]["sys_outbox"]
    for order in (1, 2, 3):
        await outbox.update_one({"order": order}, {"$inc": {"created_ms": 60_000}})
    rows = await server.outbox("crash").pending(3)
    assert [orjson.loads(row.message.value) for row in rows][:3] == [0, 1, 2]
    await outbox.delete_one({"order": 4})
    rows = await server.outbox("crash").pending(10)
    assert [orjson.loads(row.message.value) for row in rows] == [0, 1, 2], "nothing behind a hole"


# A caller that is cancelled.


async def test_a_cancelled_caller_ends_whatever_it_was_doing(server: MongoServer) -> None:
    storage = server.storage("crash")

    async def busy() -> None:
        while True:
            await storage.get(Counter, "a")
            await storage.commit(Commit(new_id("cmt"), saves=[Counter(id=new_id("cnt"))]))
            await server.outbox("crash").pending(1)

    for turn in range(60):
        await storage.get(Counter, "a")
        task = asyncio.create_task(busy())
        await asyncio.sleep(0.0005 * turn)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        assert done and task.cancelled(), "the driver has swallowed the cancellation"


# A server that goes and comes back.


async def test_a_store_that_is_away_is_told_in_time_and_works_again_when_it_is_back(private_mongo: Server) -> None:
    async with MongoServer.open(url_of(private_mongo.port)) as server:
        storage = server.storage("crash")
        await storage.migrate([Counter])
        await storage.commit(Commit(new_id("cmt"), saves=[Counter(id="kept")]))
        private_mongo.freeze()
        await _is_away(storage)
        private_mongo.thaw()
        assert await storage.get(Counter, "kept") is not None
        private_mongo.kill()
        await _is_away(storage)
        private_mongo.start()
        await storage.commit(Commit(new_id("cmt"), saves=[Counter(id="later")]))
        assert set(await storage.get_many(Counter, ["kept", "later"])) == {"kept", "later"}
        assert await storage.get(Counter, "never") is None


async def _is_away(storage: Storage) -> None:
    """Reads and writes are 503, soon."""
    began = time.monotonic()
    for call in (
        storage.get(Counter, "kept"),
        storage.commit(Commit(new_id("cmt"), saves=[Counter(id="never")]), deadline_s=0.5),
        storage.take("lease", "me", 1_000),
    ):
        with pytest.raises(NijaError) as failure:
            await call
        assert failure.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert time.monotonic() - began < 15


async def test_an_address_where_nobody_answers_or_that_is_none_is_told_at_the_start() -> None:
    with pytest.raises(SettingsError, match="NIJA_MONGO_URL"):
        async with MongoServer.open("http://secret:password@nowhere"):
            raise AssertionError("not reached")
    nobody = f"mongodb://127.0.0.1:{free_ports(1)[0]}/?serverSelectionTimeoutMS=300"
    with pytest.raises(NijaError) as failure:
        async with MongoServer.open(nobody):
            raise AssertionError("not reached")
    assert failure.value.code is ErrorCode.SERVICE_UNAVAILABLE
