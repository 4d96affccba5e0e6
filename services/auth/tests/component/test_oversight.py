"""`PUT /admin/users/{user_id}`: tier, status, notes; what others are told; what is refused."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from nija_common.events.administration import TierOverrideRequested
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.values.times import iso

ROOT = "usr_root"
DONE = {"message": "User updated successfully"}


async def update(auth: Any, user_id: str, body: Any, *, role: str = "admin", key: str | None = None) -> httpx.Response:
    client = auth.platform.client("auth", auth.platform.token(ROOT, role=role))
    headers = {"Content-Type": "application/json", **({} if key is None else {"Idempotency-Key": key})}
    path = f"/api/v1/admin/users/{user_id}"
    answer: httpx.Response = await client.put(path, content=json.dumps(body), headers=headers)
    return answer


async def updated(auth: Any, user_id: str, body: Any) -> AuditRecorded:
    """The audit row of a change that succeeds."""
    answer = await update(auth, user_id, body)
    assert (answer.status_code, answer.json()["data"]) == (200, DONE), answer.text
    row: AuditRecorded = (await auth.audited("user_updated"))[-1]
    assert (row.user_id, row.actor) == (user_id, ROOT)
    return row


async def test_a_tier_is_asked_of_billing_and_the_audit_row_says_old_and_new(auth: Any, ada: str) -> None:
    first = await updated(auth, ada, {"subscription_tier": "enterprise", "expires_at": "2099-01-01"})
    assert first.metadata == {
        "tier_override_before": None,
        "tier_override": "enterprise",
        "tier_override_until": "2099-01-02T00:00:00Z",
    }
    second = await updated(auth, ada, {"subscription_tier": "pro"})
    assert (second.metadata["tier_override_before"], second.metadata["tier_override_until"]) == ("enterprise", None)
    lifted = await updated(auth, ada, {"subscription_tier": None})
    assert (lifted.metadata["tier_override_before"], lifted.metadata["tier_override"]) == ("pro", None)
    asked = await auth.platform.emitted(TierOverrideRequested)
    assert [(event.tier, event.by) for event in asked] == [("enterprise", ROOT), ("pro", ROOT), (None, ROOT)]
    assert [event.expires_at_ms for event in asked] == [4_070_995_200_000, None, None]
    assert len(await auth.platform.emitted(UserSnapshot)) == 1, "the account itself is as it was"


async def test_an_override_that_is_over_is_no_longer_the_one_before(auth: Any, ada: str, clock: Any) -> None:
    soon = (clock.now_ms() // 1000 + 60) * 1000
    await updated(auth, ada, {"subscription_tier": "basic", "expires_at": iso(soon)})
    clock.advance(61)
    assert (await updated(auth, ada, {"subscription_tier": "pro"})).metadata["tier_override_before"] is None


@pytest.mark.parametrize(("status", "code"), [("suspended", "ACCOUNT_SUSPENDED"), ("disabled", "ACCOUNT_DISABLED")])
async def test_a_shut_out_account_loses_its_sessions_and_comes_back(
    auth: Any, ada: str, clock: Any, expect_refusal: Any, status: str, code: str
) -> None:
    session = await auth.signed_in()
    row = await updated(auth, ada, {"status": status})
    assert row.metadata == {"status_before": "active", "status": status}
    expect_refusal(await auth.login(), 403, code)
    expect_refusal(await auth.refresh(session), 403, code)
    snapshot = (await auth.platform.emitted(UserSnapshot))[-1]
    (revoked,) = await auth.platform.emitted(SessionRevoked)
    assert (snapshot.status, snapshot.tokens_valid_after_ms) == (status, clock.now_ms())
    assert (revoked.session_id, revoked.revoked_until_ms, revoked.reason) == (None, clock.now_ms(), status)
    await updated(auth, ada, {"status": "active"})
    assert (await auth.platform.emitted(UserSnapshot))[-1].status == "active"
    expect_refusal(await auth.refresh(session), 401, "TOKEN_INVALID")
    assert (await auth.refresh(await auth.signed_in())).status_code == 200


async def test_the_status_that_there_is_changes_nothing_and_ends_no_session(auth: Any, ada: str) -> None:
    session = await auth.signed_in()
    assert (await update(auth, ada, {"status": "active"})).status_code == 200
    assert (await auth.refresh(session)).status_code == 200
    assert not await auth.audited("user_updated")


async def test_notes_are_kept_with_author_and_time_and_leave_no_trace_in_events(
    auth: Any, ada: str, clock: Any
) -> None:
    row = await updated(auth, ada, {"notes": "  Asked for a refund of the canary month.  "})
    assert row.metadata == {"note_added": True}
    clock.advance(5)
    await updated(auth, ada, {"notes": "Settled.", "subscription_tier": "basic"})
    newest, first = await auth.deps.people.notes_of(ada)
    assert (first.text, first.author) == ("Asked for a refund of the canary month.", ROOT)
    assert (newest.text, newest.written_at_ms) == ("Settled.", clock.now_ms())
    said = [event.model_dump_json() for event in await auth.platform.emitted(AuditRecorded)]
    assert not [text for text in said if "canary" in text]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"expires_at": "2099-01-01"}, "body"),
        ({"subscription_tier": "gold"}, "subscription_tier"),
        ({"subscription_tier": "pro", "expires_at": "2001-01-01"}, "expires_at"),
        ({"subscription_tier": "pro", "expires_at": "soon"}, "expires_at"),
        ({"subscription_tier": None, "expires_at": "2099-01-01"}, "expires_at"),
        ({"status": "active", "expires_at": "2099-01-01"}, "expires_at"),
        ({"status": "gone"}, "status"),
        ({"status": 1}, "status"),
        ({"notes": ""}, "notes"),
        ({"notes": "x" * 2001}, "notes"),
        ({"notes": "half \ud800 of a pair"}, "notes"),
        ({"role": "admin"}, "role"),
        ([], "body"),
    ],
)
async def test_what_cannot_be_meant_is_refused_and_changes_nothing(
    auth: Any, ada: str, expect_refusal: Any, body: Any, field: str
) -> None:
    answer = await update(auth, ada, body)
    expect_refusal(answer, 400, "VALIDATION_ERROR")
    assert field in answer.json()["error"]["details"]
    assert not await auth.audited("user_updated")
    assert not await auth.platform.emitted(TierOverrideRequested)


async def test_nothing_is_applied_where_a_part_is_refused(auth: Any, ada: str, expect_refusal: Any) -> None:
    body = {"status": "suspended", "notes": "out", "subscription_tier": "pro", "expires_at": "2001-01-01"}
    expect_refusal(await update(auth, ada, body), 400, "VALIDATION_ERROR")
    assert (await auth.user()).status == "active"
    assert not await auth.deps.people.notes_of(ada)


async def test_an_unknown_account_is_not_found(auth: Any, expect_refusal: Any) -> None:
    expect_refusal(await update(auth, "usr_nobody", {"status": "suspended"}), 404, "NOT_FOUND")


async def test_administrators_cannot_shut_themselves_out(auth: Any, ada: str, expect_refusal: Any) -> None:
    client = auth.platform.client("auth", auth.platform.token(ada, role="admin"))
    for status in ("suspended", "disabled"):
        answer = await client.put(f"/api/v1/admin/users/{ada}", json={"status": status})
        expect_refusal(answer, 400, "VALIDATION_ERROR")
    assert (await client.put(f"/api/v1/admin/users/{ada}", json={"notes": "It is me."})).status_code == 200


async def test_only_administrators_may(auth: Any, ada: str, expect_refusal: Any) -> None:
    expect_refusal(await update(auth, ada, {"status": "suspended"}, role="user"), 403, "UNAUTHORIZED")
    nobody = await auth.platform.client("auth").put(f"/api/v1/admin/users/{ada}", json={"status": "suspended"})
    expect_refusal(nobody, 401, "TOKEN_INVALID")
    assert (await auth.user()).status == "active"


async def test_asked_twice_with_one_key_a_note_is_written_once(auth: Any, ada: str, expect_refusal: Any) -> None:
    answers = [await update(auth, ada, {"notes": "Once."}, key="n-1") for _ in range(3)]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert len(await auth.deps.people.notes_of(ada)) == 1
    expect_refusal(await update(auth, ada, {"notes": "Twice."}, key="n-1"), 409, "IDEMPOTENCY_CONFLICT")
