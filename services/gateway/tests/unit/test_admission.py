"""The one admission function, by table: what it answers at once, and what it asks to be awaited first."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nija_common.errors import ErrorCode, NijaError
from nija_common.events.identity import SessionRevoked
from nija_common.security.revocations import KEPT_MS, Revocations
from nija_common.security.tokens import AUDIENCE, ISSUER, TOKEN_TYPE, Claims, KeySet, TokenVerifier, jwk_of, sign
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier, effective
from nija_gateway.adapters.local_windows import LocalWindows
from nija_gateway.domain.admission import Admission, Admitted, Allowed, Miss, Outcome, Refused
from nija_gateway.domain.routes import LimitClass
from nija_gateway.domain.standing import Account, Allowance, Standings

KEY = Ed25519PrivateKey.generate()
OTHER_KEY = Ed25519PrivateKey.generate()
ALLOWED = Allowed(stops=2, registrations=2, register_tries=4, logins=3, open_calls=3, webhooks_refused=2)


class World:
    """Admission with everything around it in memory; `stored` is what the store would answer."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.standings = Standings()
        self.revocations = Revocations()
        self.stored: dict[str, tuple[Account | None, Allowance | None]] = {}
        self.loads = 0
        self.published: dict[str, Ed25519PrivateKey] = {"key-1": KEY}
        keys = KeySet(self._fetch, self.clock)
        self.admission = Admission(
            tokens=TokenVerifier(keys, self.clock),
            revocations=self.revocations,
            standings=self.standings,
            load_standing=self._load,
            windows=LocalWindows(self.clock),
            allowed=ALLOWED,
        )

    async def _fetch(self) -> dict[str, Any]:
        return {"keys": [jwk_of(key.public_key(), name) for name, key in self.published.items()]}

    async def _load(self, user_id: str) -> None:
        self.loads += 1
        account, allowance = self.stored.get(user_id, (None, None))
        self.standings.put(user_id, account=account, allowance=allowance, looked_up=True)

    def claims(self, **changes: Any) -> Claims:
        now = self.clock.now_ms()
        claims = Claims("usr_a", "ses_a", "user", now // 1000, now // 1000 + 3600, now, now)
        return dataclasses.replace(claims, **changes)

    def bearer(self, key: Ed25519PrivateKey = KEY, key_id: str = "key-1", **changes: Any) -> str:
        return f"Bearer {sign(self.claims(**changes), key, key_id)}"

    def know(self, **changes: Any) -> None:
        account = Account((0, 1), "user", "active", 0)
        allowance = Allowance((0, 1), (effective(Tier.BASIC, from_ms=0, live=True),))
        self.standings.put("usr_a", account=dataclasses.replace(account, **changes), allowance=allowance)

    def ask(self, authorization: str | None, limit: LimitClass = LimitClass.USER, *, admin: bool = False) -> Outcome:
        return self.admission.caller(authorization, limit, self.clock.now_ms(), admin=admin)

    async def settle(self, authorization: str | None, **options: Any) -> Admitted | Refused:
        for _ in range(5):
            outcome = self.ask(authorization, **options)
            if not isinstance(outcome, Miss):
                return outcome
            try:
                await outcome.fetch()
            except NijaError as error:
                return Refused(error)
        raise AssertionError("admission does not come to an answer")


def code(outcome: Outcome) -> ErrorCode:
    assert isinstance(outcome, Refused)
    return outcome.error.code


@pytest.fixture
async def world() -> World:
    """Signing keys are known, nothing else is."""
    world = World()
    assert isinstance(await world.settle(world.bearer(user_id="usr_warm")), Admitted)
    return world


def test_the_first_call_asks_for_the_signing_keys() -> None:
    world = World()
    assert isinstance(world.ask(world.bearer()), Miss)


def test_a_hit_is_answered_without_awaiting_anything(world: World) -> None:
    world.know()
    loads = world.loads
    outcome = world.ask(world.bearer())
    assert isinstance(outcome, Admitted)
    assert outcome.claims is not None and outcome.claims.user_id == "usr_a"
    assert outcome.rate is not None and (outcome.rate.limit, outcome.rate.remaining) == (30, 29)
    assert world.loads == loads


async def test_an_unknown_standing_is_awaited_once_then_the_defaults_of_a_new_account_hold(world: World) -> None:
    loads = world.loads
    for _ in range(3):
        outcome = await world.settle(world.bearer())
        assert isinstance(outcome, Admitted)
        assert outcome.rate is not None and outcome.rate.limit == 100
    assert world.loads == loads + 1


@pytest.mark.parametrize(("age_ms", "admitted"), [(0, True), (599_999, True), (600_000, False), (86_400_000, False)])
async def test_registration_defaults_hold_for_ten_minutes(world: World, age_ms: int, admitted: bool) -> None:
    token = world.bearer(registered_at_ms=world.clock.now_ms() - age_ms)
    outcome = await world.settle(token)
    assert isinstance(outcome, Admitted) is admitted
    if not admitted:
        assert code(outcome) is ErrorCode.SERVICE_UNAVAILABLE
        loads = world.loads
        await world.settle(token)
        assert world.loads == loads + 1, "the store is asked again, it may know by now"


async def test_half_a_standing_is_completed_by_defaults_for_a_new_account_only(world: World) -> None:
    world.standings.put("usr_a", account=Account((0, 1), "user", "suspended", 0))
    assert code(await world.settle(world.bearer())) is ErrorCode.ACCOUNT_SUSPENDED
    old = world.bearer(registered_at_ms=0)
    assert code(await world.settle(old)) is ErrorCode.SERVICE_UNAVAILABLE


def token_of(world: World, what: str) -> str | None:
    sign_other = {"stranger": (OTHER_KEY, "key-1"), "unknown key id": (OTHER_KEY, "key-9")}
    if what in sign_other:
        key, key_id = sign_other[what]
        return world.bearer(key, key_id)
    return {"none": None, "empty": "", "basic": "Basic YTpi", "no token": "Bearer ", "garbage": "Bearer a.b.c"}[what]


@pytest.mark.parametrize("what", ["none", "empty", "basic", "no token", "garbage", "stranger", "unknown key id"])
async def test_what_is_no_token_of_ours_is_token_invalid(world: World, what: str) -> None:
    outcome = await world.settle(token_of(world, what))
    assert code(outcome) is ErrorCode.TOKEN_INVALID
    assert isinstance(outcome, Refused) and outcome.rate is None


def payload(world: World) -> dict[str, Any]:
    now = world.clock.now_ms()
    times = {"iat": now // 1000, "exp": now // 1000 + 3600, "sat": now, "reg": now}
    return {"sub": "usr_a", "sid": "ses_a", "role": "user", "iss": ISSUER, "aud": AUDIENCE, **times}


PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

FORGED: dict[str, tuple[dict[str, Any], dict[str, Any], Any, str]] = {
    "no signature": ({}, {}, None, "none"),
    "the public key as a secret": ({}, {}, PUBLIC, "HS256"),
    "another issuer": ({"iss": "other"}, {}, KEY, "EdDSA"),
    "another audience": ({"aud": "other"}, {}, KEY, "EdDSA"),
    "another type": ({}, {"typ": "JWT"}, KEY, "EdDSA"),
    "no type": ({}, {"typ": None}, KEY, "EdDSA"),
    "no key id": ({}, {"kid": None}, KEY, "EdDSA"),
    "no session": ({"sid": None}, {}, KEY, "EdDSA"),
    "no role": ({"role": None}, {}, KEY, "EdDSA"),
    "a role nobody has": ({"role": "root"}, {}, KEY, "EdDSA"),
    "issued in the future": ({"iat": 2**40}, {}, KEY, "EdDSA"),
}


@pytest.mark.parametrize("what", FORGED)
async def test_forged_tokens_are_token_invalid(world: World, what: str) -> None:
    world.know()
    claims, head, key, algorithm = FORGED[what]
    body = {name: value for name, value in {**payload(world), **claims}.items() if value is not None}
    headers = {"kid": "key-1", "typ": TOKEN_TYPE, **head}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        token = jwt.encode(body, key, algorithm=algorithm, headers={k: v for k, v in headers.items() if v is not None})
    assert code(await world.settle(f"Bearer {token}")) is ErrorCode.TOKEN_INVALID


async def test_an_expired_token_is_told_apart(world: World) -> None:
    world.know()
    token = world.bearer()
    assert isinstance(await world.settle(token), Admitted)
    world.clock.advance(3600)
    assert code(await world.settle(token)) is ErrorCode.TOKEN_EXPIRED


async def test_a_rotated_key_is_learned_and_a_withdrawn_one_forgotten(world: World) -> None:
    world.know()
    world.clock.advance(2)
    world.published = {"key-2": OTHER_KEY}
    assert isinstance(await world.settle(world.bearer(OTHER_KEY, "key-2")), Admitted)
    world.clock.advance(2)
    assert code(await world.settle(world.bearer())) is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize(
    ("changes", "admin", "wanted"),
    [
        ({}, False, None),
        ({"status": "suspended"}, False, ErrorCode.ACCOUNT_SUSPENDED),
        ({"status": "disabled"}, False, ErrorCode.ACCOUNT_DISABLED),
        ({"status": "suspended"}, True, ErrorCode.ACCOUNT_SUSPENDED),
        ({}, True, ErrorCode.UNAUTHORIZED),
        ({"tokens_valid_after_ms": 2**60}, False, ErrorCode.TOKEN_INVALID),
    ],
)
def test_standing_decides(world: World, changes: dict[str, Any], admin: bool, wanted: ErrorCode | None) -> None:
    world.know(**changes)
    outcome = world.ask(world.bearer(), admin=admin)
    if wanted is None:
        assert isinstance(outcome, Admitted)
    else:
        assert code(outcome) is wanted
        assert isinstance(outcome, Refused)
        assert (outcome.rate is not None) == (wanted is not ErrorCode.TOKEN_INVALID)


@pytest.mark.parametrize(
    ("event", "ended"),
    [
        (("ses_a", None), True),
        (("ses_b", None), False),
        ((None, 0), True),
        ((None, 1), True),
        ((None, -1), False),
    ],
)
def test_revocations_end_sessions(world: World, event: tuple[str | None, int | None], ended: bool) -> None:
    world.know()
    session_id, later = event
    now = world.clock.now_ms()
    until = None if later is None else now + later
    revoked = SessionRevoked(user_id="usr_a", session_id=session_id, revoked_until_ms=until, reason="logout")
    world.revocations.add(revoked, now)
    outcome = world.ask(world.bearer(session_at_ms=now))
    assert (isinstance(outcome, Refused) and outcome.error.code is ErrorCode.TOKEN_INVALID) is ended


def test_revocations_are_forgotten_when_no_token_can_carry_them_any_more() -> None:
    revocations = Revocations()
    for number in range(100):
        at = number * KEPT_MS // 10
        revocations.add(
            SessionRevoked(user_id=f"u{number}", session_id=f"s{number}", revoked_until_ms=at, reason="logout"), at
        )
    assert not revocations.ended("u1", "s1", 0)
    assert revocations.ended("x", "s99", 2**60) and revocations.ended("u99", "x", 0)
    assert len(revocations._sessions) <= 11 and len(revocations._users) <= 11


def test_an_older_snapshot_never_replaces_a_newer_one_in_any_order() -> None:
    for order in ([1, 2], [2, 1]):
        standings = Standings()
        for number in order:
            account = Account((0, number), "user", "suspended" if number == 2 else "active", 0)
            standings.put("usr_a", account=account)
        standing = standings.find("usr_a")
        assert standing is not None and standing.account is not None
        assert standing.account.status == "suspended"
    standings.put("usr_a", account=Account((1, 1), "user", "active", 0))
    restored = standings.find("usr_a")
    assert restored is not None and restored.account is not None
    assert restored.account.status == "active", "a restore raises the incarnation"


def test_registering_holds_a_place_that_goes_back_unless_an_account_was_made() -> None:
    admission = World().admission
    first = admission.address(LimitClass.REGISTER, "198.51.100.1")
    second = admission.address(LimitClass.REGISTER, "198.51.100.1")
    assert isinstance(first, Admitted) and isinstance(second, Admitted)
    assert code(admission.address(LimitClass.REGISTER, "198.51.100.1")) is ErrorCode.RATE_LIMIT_EXCEEDED
    assert second.held is not None
    admission.not_registered("198.51.100.1", second.held)
    assert isinstance(admission.address(LimitClass.REGISTER, "198.51.100.1"), Admitted)
    assert isinstance(admission.address(LimitClass.REGISTER, "198.51.100.2"), Admitted)


async def test_webhooks_are_refused_after_wrong_keys_only() -> None:
    admission = World().admission
    for _ in range(10):
        assert isinstance(admission.address(LimitClass.WEBHOOK, "198.51.100.1"), Admitted)
    for _ in range(2):
        await admission.webhook_refused("198.51.100.1")
    assert code(admission.address(LimitClass.WEBHOOK, "198.51.100.1")) is ErrorCode.RATE_LIMIT_EXCEEDED
    assert isinstance(admission.address(LimitClass.WEBHOOK, "198.51.100.2"), Admitted)
    assert isinstance(admission.address(LimitClass.NONE, "198.51.100.1"), Admitted)
