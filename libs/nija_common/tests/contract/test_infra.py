"""The servers that tests start: they do what the tests rely on, keep data over a SIGKILL, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import AsyncMongoClient
from pymongo.write_concern import WriteConcern

from nija_common.testing import mongo
from nija_common.testing.processes import Server, accepts, shared, wait_until


async def create_topic(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, partition=1)
    finally:
        await producer.stop()


async def first_value(bootstrap: str, topic: str) -> bytes | None:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        value: bytes | None = (await consumer.getone()).value
        return value
    finally:
        await consumer.stop()


@pytest.mark.kafka
async def test_a_shared_kafka_keeps_what_it_acknowledged(kafka_bootstrap: str, namespace: str) -> None:
    await create_topic(kafka_bootstrap, f"{namespace}infra")
    await produce(kafka_bootstrap, f"{namespace}infra", b"hello")
    assert await first_value(kafka_bootstrap, f"{namespace}infra") == b"hello"


@pytest.mark.kafka
async def test_a_killed_kafka_comes_back_on_its_port_with_its_data(private_kafka: Server) -> None:
    bootstrap = f"127.0.0.1:{private_kafka.port}"
    await create_topic(bootstrap, "infra")
    await produce(bootstrap, "infra", b"kept")
    private_kafka.kill()
    assert not accepts(private_kafka.port)
    private_kafka.start()
    assert await first_value(bootstrap, "infra") == b"kept"


@pytest.mark.mongo
async def test_a_transaction_is_seen_by_a_change_stream(mongo_url: str, namespace: str) -> None:
    async with AsyncMongoClient[dict[str, Any]](mongo_url) as client:
        rows = client[f"{namespace}infra"].get_collection("rows", write_concern=WriteConcern("majority"))
        await rows.insert_one({"_id": "before"})
        async with await rows.watch() as changes, client.start_session() as session:
            async with await session.start_transaction():
                await rows.insert_one({"_id": "a"}, session=session)
                await rows.insert_one({"_id": "b"}, session=session)
                assert await rows.count_documents({}) == 1, "nobody sees a transaction before its commit"
            seen = [(await changes.next())["documentKey"]["_id"] for _ in range(2)]
        assert seen == ["a", "b"]


@pytest.mark.mongo
async def test_a_killed_mongo_comes_back_on_its_port_with_its_data(private_mongo: Server) -> None:
    url = mongo.url_of(private_mongo.port)
    async with AsyncMongoClient[dict[str, object]](url) as client:
        await client["infra"]["rows"].insert_one({"_id": "kept"})
    private_mongo.kill()
    assert not accepts(private_mongo.port)
    private_mongo.start()
    async with AsyncMongoClient[dict[str, object]](url) as client:
        assert await client["infra"]["rows"].find_one() == {"_id": "kept"}


USER = """
import sys, pathlib
from nija_common.testing import mongo
from nija_common.testing.processes import shared
with shared(mongo.launch, pathlib.Path(sys.argv[1])) as port:
    print(port, flush=True)
    sys.stdin.read()
"""


@pytest.mark.mongo
def test_a_shared_server_outlives_its_first_user_and_ends_with_its_last_even_a_killed_one(tmp_path: Path) -> None:
    first, second = (
        subprocess.Popen(
            [sys.executable, "-c", USER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    )
    with first, second:
        assert first.stdout is not None and second.stdout is not None
        port = int(first.stdout.readline())
        assert int(second.stdout.readline()) == port
        first.kill()
        first.wait()
        with shared(mongo.launch, tmp_path) as third:
            assert third == port
        assert accepts(port)
        second.kill()
        second.wait()
        assert wait_until(lambda: not accepts(port), 10)


@pytest.mark.mongo
def test_a_server_dies_with_its_guard(private_mongo: Server) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process that its parent has died")
    pid = int((private_mongo.folder / "pid").read_text())
    os.kill(parent_of(pid), signal.SIGKILL)
    assert wait_until(lambda: not accepts(private_mongo.port), 10)


def parent_of(pid: int) -> int:
    """From /proc: the fourth field, after the name in parentheses."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


@pytest.mark.parametrize("ending", [Server.stop, Server.kill], ids=["stop", "kill"])
def test_a_server_is_gone_when_told_to_go(tmp_path: Path, ending: Callable[[Server], None]) -> None:
    with Server(tmp_path, 0, ["sleep", "60"], lambda server: (server.folder / "pid").exists()) as server:
        assert server.running
        ending(server)
        assert not server.running
