"""`nija migrate --check`, `nija republish` and a new incarnation, on the embedded platform and on Kafka with MongoDB's wire."""

from __future__ import annotations

import asyncio
import base64
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from nija_auth.domain.documents import PaidTier, Session, User
from nija_auth.service import SERVICE as AUTH
from nija_billing.service import SERVICE as BILLING
from nija_common.events.identity import UserSnapshot
from nija_common.runtime.infrastructure import open_infrastructure
from nija_common.runtime.key_encryption import sealer_of
from nija_common.runtime.node import Node, Part, run_node
from nija_common.runtime.settings import PlatformSettings, load
from nija_common.testing import start_platform
from nija_common.testing.long_run import only_long
from nija_common.testing.platforms import run_nija
from nija_common.values.clock import SystemClock

PARTS = (AUTH, BILLING)
USERS = ("usr_a", "usr_b", "usr_c")


async def nija(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(run_nija, list(arguments), env=env)


async def given_users(node: Node) -> None:
    """As a registration leaves them: the row and its event in one commit."""
    uow = node.running["auth"].work.open()
    for user in USERS:
        uow.save(
            User(
                id=user,
                email=f"{user}@x.example",
                email_key=f"{user}@x.example",
                full_name="A",
                password_hash="h",
                registered_at_ms=1,
            )
        )
        uow.emit(UserSnapshot.model_validate({**UserSnapshot.example, "user_id": user}))
    await node.running["auth"].work.commit(uow)


async def tiers(node: Node, *, newer_than: tuple[int, int] = (0, 0), users: tuple[str, ...] = USERS) -> list[Any]:
    """Auth's read model of what billing says, once it has all of these users newer than that."""
    storage = node.running["auth"].storage
    async with asyncio.timeout(30):
        while True:
            found = await storage.get_many(PaidTier, users)
            revisions = [tuple(tier.revision) for tier in found.values()]
            if len(found) == len(users) and all(revision > newer_than for revision in revisions):
                return revisions
            await asyncio.sleep(0.02)


async def test_an_emptied_read_model_is_filled_again_on_the_embedded_platform(tmp_path: Path) -> None:
    folder = ("--data-dir", str(tmp_path))
    async with start_platform(tmp_path, PARTS, clock=SystemClock()) as platform:
        await given_users(platform.node)
        assert await tiers(platform.node) == [(1, 1)] * 3
        with closing(sqlite3.connect(tmp_path / "nija.sqlite3", isolation_level=None)) as connection:
            connection.execute("DELETE FROM auth__paid_tiers")
            connection.execute("DELETE FROM sys_progress WHERE service = 'auth' AND topic = 'nija-subscriptions'")
        one = await nija("republish", "billing", "subscriptions", "--user", "usr_b", *folder, env={})
        assert (one.returncode, one.stdout) == (0, "nija-subscriptions: 1 events, each with the next revision\n")
        assert await tiers(platform.node, users=("usr_b",)) == [(1, 2)]
        every = await nija("republish", "billing", "nija-subscriptions", "--all", *folder, env={})
        assert every.returncode == 0, every.stderr
        assert sorted(await tiers(platform.node, newer_than=(1, 1))) == [(1, 2), (1, 2), (1, 3)]
    for arguments, status, text in (
        (("auth", "sessions", "--all"), 2, "carries no state (fact)"),
        (("auth", "subscriptions", "--all"), 2, "its state topics: nija-users"),
        (("nobody", "users", "--all"), 2, "no such service"),
        (("auth", "users"), 2, "--user U and --all"),
        (("auth", "users", "--user", "usr_nobody"), 1, "keeps nothing of usr_nobody"),
    ):
        done = await nija("republish", *arguments, *folder, env={})
        assert (done.returncode, done.stdout) == (status, "")
        assert text in done.stderr


async def test_the_check_tells_what_differs_and_changes_nothing_on_the_embedded_platform(tmp_path: Path) -> None:
    folder, database = ("--data-dir", str(tmp_path / "data")), tmp_path / "data" / "nija.sqlite3"
    none = await nija("migrate", "--check", *folder, env={})
    assert none.returncode == 1 and "there is no platform" in none.stderr
    assert not database.parent.exists()
    assert (await nija("migrate", *folder, env={})).returncode == 0
    same = await nija("migrate", "--check", *folder, env={})
    assert (same.returncode, same.stderr) == (0, "")
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("DROP INDEX auth__users__by_email")
        connection.execute("DROP TABLE billing__usage")
        connection.execute("DROP TABLE sys_counters")
        connection.execute("CREATE TABLE auth__left_over (id TEXT)")
        connection.execute("DELETE FROM log_topics WHERE topic = 'nija-users'")
        connection.execute("UPDATE log_topics SET partitions = 12 WHERE topic = 'nija-audit'")
        before = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
    told = await nija("migrate", "--check", *folder, env={})
    assert told.returncode == 1
    assert sorted(told.stdout.splitlines()) == sorted(
        [
            "table sys_counters is missing",
            "topic nija-users is missing",
            "topic nija-audit has 12 partitions, not 24",
            "auth: index auth__users__by_email is missing",
            "auth: collection left_over is declared by nobody",
            "billing: collection usage is missing",
        ]
    )
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT name, sql FROM sqlite_master").fetchall() == before


@pytest.fixture
def env(kafka_bootstrap: str, mongo_url: str, namespace: str, tmp_path: Path) -> dict[str, str]:
    return {
        "NIJA_STORE": "mongodb",
        "NIJA_BUS": "kafka",
        "NIJA_MONGO_URL": mongo_url,
        "NIJA_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "NIJA_NAMESPACE": namespace,
        "NIJA_KEY_ENCRYPTION_KEY": base64.b64encode(os.urandom(32)).decode(),
        "NIJA_DATA_DIR": str(tmp_path),
        "NIJA_JWKS_URL": "http://127.0.0.1:9/jwks",
    }


@asynccontextmanager
async def running(env: Mapping[str, str]) -> AsyncIterator[Node]:
    """Auth and billing as their processes run them."""
    settings, clock = load(PlatformSettings, env), SystemClock()
    parts = [Part(service, service.roles, load(service.settings, env)) for service in PARTS]
    async with (
        open_infrastructure(settings, clock) as infrastructure,
        run_node(
            parts,
            settings=settings,
            clock=clock,
            infrastructure=infrastructure,
            sealer=sealer_of(settings, may_make=False),
        ) as node,
    ):
        yield node


@pytest.mark.kafka
@pytest.mark.mongo
@pytest.mark.slow
@only_long("every service's schema")
async def test_on_kafka_and_mongodb_differences_are_told_state_is_told_again_and_a_new_life_is_news(
    env: dict[str, str], mongo_url: str, namespace: str
) -> None:
    told = await nija("migrate", "--check", env=env)
    assert told.returncode == 1
    assert f"topic {namespace}nija-users is missing" in told.stdout.splitlines()
    assert "auth: collection users is missing" in told.stdout.splitlines()
    done = await nija("migrate", env=env)
    assert done.returncode == 0, done.stderr
    done = await nija("migrate", "--check", env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    with MongoClient[dict[str, Any]](mongo_url) as client:
        database = client[f"{namespace}nija_auth"]
        database["users"].drop_index("by_email")
        database["users"].create_index("full_name", name="by_name")
        database["left_over"].insert_one({"_id": "x"})
        told = await nija("migrate", "--check", env=env)
        assert told.returncode == 1
        assert sorted(told.stdout.splitlines()) == [
            "auth: collection left_over is declared by nobody",
            "auth: index users.by_email is missing",
            "auth: index users.by_name is declared by nobody",
        ]
        assert (await nija("migrate", env=env)).returncode == 0

        async with running(env) as node:
            await given_users(node)
            (before, *_) = await tiers(node)
            database["paid_tiers"].delete_many({})
            database["sys_progress"].delete_many({"topic": "nija-subscriptions"})
            done = await nija("republish", "billing", "subscriptions", "--all", env=env)
            assert done.returncode == 0, done.stderr
            (again, *_) = await tiers(node)
            assert again == (1, before[1] + 1)
            uow = node.running["auth"].work.open()
            uow.save(Session(id="ses_a", user_id="usr_a", refresh_hash="r", created_ms=1, expires_at_ms=2))
            await node.running["auth"].work.commit(uow)
            refused = await nija("migrate", "--new-incarnation", env=env)
            assert refused.returncode == 1 and "stop every service first" in refused.stderr

        # As after a restore: billing has forgotten how far its numbers had come.
        client[f"{namespace}nija_billing"]["sys_seqs"].delete_many({})
        done = await nija("migrate", "--new-incarnation", env=env)
        assert done.returncode == 0, done.stderr
        leases = [
            row for service in ("auth", "billing") for row in client[f"{namespace}nija_{service}"]["sys_leases"].find()
        ]
        assert {row["expires_at_ms"] for row in leases} == {0} and all(row["epoch"] for row in leases)
        assert "1 sessions have ended" in done.stdout and "billing: 3 states are told again" in done.stdout
        async with running(env) as node:
            revisions = await tiers(node, newer_than=again)
            assert {number for _, number in revisions} == {1} and revisions[0][0] > 200_000_000
