"""`nija doctor`: what it finds is there, what it does not mention is well, and it never says a secret."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from nija_auth.service import SERVICE as AUTH
from nija_billing.service import SERVICE as BILLING
from nija_cli.services import SERVICES
from nija_common.bus.port import Message
from nija_common.events.identity import UserSnapshot
from nija_common.events.topics import USERS
from nija_common.runtime.key_encryption import KEY_FILE
from nija_common.runtime.node import migrate
from nija_common.testing import start_platform
from nija_common.testing.long_run import LONG
from nija_common.testing.platforms import run_nija
from nija_common.testing.processes import free_ports
from nija_common.values.clock import SystemClock
from nija_common.values.shards import shard_of

CANARY = "canary0secret"


async def examined(*arguments: str, env: Mapping[str, str]) -> tuple[int, list[dict[str, str]], str]:
    """Status, findings, and all that was said."""
    done: subprocess.CompletedProcess[str] = await asyncio.to_thread(
        run_nija, ["doctor", "--json", *arguments], env=env
    )
    document = json.loads(done.stdout)
    assert document["ok"] == (done.returncode == 0)
    for finding in document["findings"]:
        assert finding["level"] == "ok" or finding["todo"], finding
    return done.returncode, document["findings"], done.stdout + done.stderr


def of(findings: list[dict[str, str]], area: str) -> list[tuple[str, str]]:
    return [(one["level"], one["text"]) for one in findings if one["area"] == area]


async def test_the_embedded_platform_running_with_a_parked_key_and_then_at_rest(tmp_path: Path) -> None:
    folder = ("--data-dir", str(tmp_path))
    async with start_platform(tmp_path, [AUTH, BILLING], clock=SystemClock()) as platform:
        await migrate(platform.node.infrastructure, SERVICES)
        await platform.node.infrastructure.bus.send([Message(USERS.name, shard_of("u"), "u", b"no event")])
        await platform.given_events(UserSnapshot.model_validate(UserSnapshot.example), source="auth")
        status, found, _ = await examined(*folder, env={})
        assert status == 0
        assert any(f"a platform runs on it (pid {os.getpid()})" in text for _, text in of(found, "folder"))
        assert of(found, "schema") == [("ok", "topics, collections and indexes are as declared")]
        assert of(found, "parked") == [("warn", "billing: 1 keys are set aside")]
        assert ("ok", "gateway.api has 2 events of nija-users to apply") in of(found, "lag")
        assert not [text for _, text in of(found, "lag") if text.startswith("billing")]
        assert ("warn", "0 trading workers hold 0 of 24 shards") in of(found, "leases")
    status, found, _ = await examined(*folder, env={})
    assert status == 0 and of(found, "leases") == []
    with closing(sqlite3.connect(tmp_path / "nija.sqlite3", isolation_level=None)) as connection:
        connection.execute("DROP INDEX auth__users__by_email")
    (tmp_path / KEY_FILE).chmod(0o644)
    status, found, _ = await examined(*folder, env={})
    assert status == 0
    assert of(found, "schema") == [("warn", "auth: index auth__users__by_email is missing")]
    assert ("warn", f"{KEY_FILE} can be read by others") in of(found, "folder")
    (tmp_path / KEY_FILE).unlink()
    status, found, _ = await examined(*folder, env={})
    assert status == 1 and ("fail", f"{KEY_FILE} is missing") in of(found, "folder")


async def test_wrong_and_unknown_settings_are_named_and_secrets_are_not_shown(tmp_path: Path) -> None:
    (dead,) = free_ports(1)
    right = {
        "NIJA_SMTP_URL": f"smtp://user:{CANARY}@127.0.0.1:{dead}",
        "NIJA_STRIPE_API_KEY": f"sk_{CANARY}",
        "NIJA_STRIPE_API_BASE": f"http://127.0.0.1:{dead}",
        "NIJA_OTLP_ENDPOINT": f"http://u:{CANARY}@127.0.0.1:{dead}/v1?token={CANARY}",
        "NIJA_UPSTREAMS__AUTH": f"http://127.0.0.1:{dead}",
        "NIJA_BROKERS__KRAKEN__BASE_URL": f"http://127.0.0.1:{dead}",
        "NIJA_BROKERS__COINBASE__BASE_URL": f"http://127.0.0.1:{dead}",
    }
    status, found, said = await examined("--data-dir", str(tmp_path), "--exchanges", env=right)
    assert status == 1 and CANARY not in said
    assert ("ok", "NIJA_SMTP_URL=***") in of(found, "settings")
    assert ("warn", "Stripe's key is set, its webhook secret is not") in of(found, "settings")
    for area in ("mail", "stripe", "auth", "kraken", "coinbase"):
        ((level, text),) = of(found, area)
        assert level == "fail" and "refused" in text
    ((level, _),) = of(found, "traces")
    assert level == "warn"
    wrong = {"NIJA_SPEED": CANARY, "NIJA_SPEEED": CANARY, "NIJA_LIMITS__LOGIN_PER_MINUTE": "none"}
    status, found, said = await examined("--data-dir", str(tmp_path), env=wrong)
    assert status == 1 and CANARY not in said
    assert {text.split(":")[0] for level, text in of(found, "settings") if level == "fail"} == wrong.keys()


@pytest.mark.kafka
@pytest.mark.mongo
@pytest.mark.slow
async def test_on_kafka_and_mongodb(kafka_bootstrap: str, mongo_url: str, namespace: str, tmp_path: Path) -> None:
    (dead,) = free_ports(1)
    env = {
        "NIJA_STORE": "mongodb",
        "NIJA_BUS": "kafka",
        "NIJA_MONGO_URL": mongo_url,
        "NIJA_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "NIJA_NAMESPACE": namespace,
        "NIJA_KEY_ENCRYPTION_KEY": base64.b64encode(os.urandom(32)).decode(),
        "NIJA_DATA_DIR": str(tmp_path),
        "NIJA_JWKS_URL": f"http://127.0.0.1:{dead}/jwks",
    }
    status, found, said = await examined(env=env)
    assert status == 1 and env["NIJA_KEY_ENCRYPTION_KEY"] not in said
    assert ("fail", "auth: collection users is missing") in of(found, "schema")
    assert [level for level, _ in of(found, "store") + of(found, "bus")] == ["ok", "ok"]
    assert of(found, "jwks")[0][0] == "fail"
    assert (await asyncio.to_thread(run_nija, ["migrate"], env=env)).returncode == 0
    with MongoClient[dict[str, Any]](mongo_url) as client:
        row = {"_id": "e", "commit": "c", "topic": USERS.name, "partition": 0, "key": "u", "value": b"x", "headers": []}
        client[f"{namespace}nija_auth"]["sys_outbox"].insert_one(
            {**row, "state": True, "seq": 1, "order": 1, "created_ms": 1}
        )
    status, found, _ = await examined(env=env)
    assert of(found, "schema") == [("ok", "topics, collections and indexes are as declared")]
    ((level, text),) = of(found, "outbox")
    assert level == "fail" and text.startswith("auth: 1 events wait, the oldest for ")
    assert of(found, "lag")[0][1].endswith("subscriptions have applied everything")
    assert ("warn", "nobody relays the events of billing") in of(found, "leases")
    if not LONG:
        return  # what is away is waited for
    gone = {**env, "NIJA_KAFKA_BOOTSTRAP": f"127.0.0.1:{dead}"}
    status, found, _ = await examined(env=gone)
    assert status == 1 and of(found, "bus")[0][0] == "fail" and of(found, "store")[0][0] == "ok"
    status, found, _ = await examined(env={**gone, "NIJA_MONGO_URL": f"mongodb://u:{CANARY}@127.0.0.1:{dead}/"})
    assert status == 1 and of(found, "store")[0][0] == "fail"
