"""Idempotency keys (promise 19): equal calls have one effect and one answer, whatever runs beside or dies in between.

A small service on every store: routes that answer from their unit of work, after it, without one, and around a vendor's
call. A `Replica` is a process of it; replicas share the store and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, cast

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, Request
from pydantic import BaseModel

from nija_common.bus.port import Bus
from nija_common.errors import ErrorCode, NijaError, unavailable
from nija_common.http.app import create_app
from nija_common.http.idempotency import Idempotency
from nija_common.http.identity import CallerDep
from nija_common.security.sealing import Sealer, Unsealable
from nija_common.security.tokens import Claims, KeySet, TokenVerifier, jwk_of, sign
from nija_common.storage.port import Commit, Storage
from nija_common.storage.remembered import IdempotentRequest
from nija_common.storage.unit_of_work import UnitOfWork, Work
from nija_common.values.clock import ManualClock
from nija_common.values.document import Collection, Document
from nija_common.values.ids import derived_id

SEALER = Sealer(b"k" * 32)
SIGNER = Ed25519PrivateKey.generate()
SECRET = "whk_shown-once"
LEASE_MS = 20_000
"""Longer than a test: a busy machine takes nobody's call away from him."""


class Purse(Document):
    """What a user has; `moves` counts effects."""

    collection: ClassVar[Collection] = Collection("purses")
    total: int = 0
    moves: int = 0


class Amount(BaseModel):
    amount: int


class Total(BaseModel):
    total: int
    secret: str = ""


class Vendor:
    """Takes a charge once a key, as Stripe does."""

    def __init__(self) -> None:
        self.charges: dict[str, int] = {}
        self.calls: Counter[str] = Counter()
        self.says: list[NijaError] = []
        """Refusals of the next calls."""

    async def charge(self, key: str, amount: int) -> int:
        self.calls[key] += 1
        if self.says:
            raise self.says.pop(0)
        self.charges.setdefault(key, amount)
        await asyncio.sleep(0.01)
        return self.charges[key]


@dataclass(frozen=True)
class Deps:
    storage: Storage
    work: Work
    vendor: Vendor


class Killed(Exception):
    """A SIGKILL, seen from inside."""


class MortalStorage:
    """Passes everything on until its commit number `at`; from then on nothing works."""

    def __init__(self, inner: Storage, at: int, when: str) -> None:
        self.inner, self.at, self.when = inner, at, when
        self.commits = 0
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            if self.dead:
                raise Killed
            return await getattr(self.inner, name)(*args, **options)

        return call

    async def commit(self, commit: Commit, *, deadline_s: float = 5.0) -> None:
        if self.dead:
            raise Killed
        self.commits += 1
        self.dead = self.commits == self.at
        if self.dead and self.when == "before":
            raise Killed
        await self.inner.commit(commit, deadline_s=deadline_s)
        if self.dead:
            raise Killed


async def add(deps: Deps, move: tuple[str, int], uow: UnitOfWork) -> int:
    user_id, amount = move
    purse = await deps.storage.get(Purse, user_id) or Purse(id=user_id)
    if amount < 0:
        raise NijaError(ErrorCode.NOT_RUNNING, "Nothing to take.")
    uow.save(purse.model_copy(update={"total": purse.total + amount, "moves": purse.moves + 1}))
    return purse.total + amount


async def add_to_empty(deps: Deps, move: tuple[str, int], uow: UnitOfWork) -> int:
    if await deps.storage.get(Purse, move[0]) is not None:
        raise NijaError(ErrorCode.ALREADY_RUNNING, "There is something in it already.")
    return await add(deps, move, uow)


async def decide(deps: Deps, amount: int, uow: UnitOfWork) -> int:
    return amount


router = APIRouter()


@router.post("/api/v1/add")
async def add_route(body: Amount, caller: CallerDep, request: Request) -> Total:
    deps: Deps = request.app.state.deps
    return Total(total=await deps.work.run(add, deps, (caller.user_id, body.amount)))


@router.put("/api/v1/add")
async def put_route(body: Amount, caller: CallerDep, request: Request) -> Total:
    return await add_route(body, caller, request)


@router.post("/api/v1/begin", status_code=201)
async def begin_route(body: Amount, caller: CallerDep, request: Request) -> Total:
    deps: Deps = request.app.state.deps
    await deps.work.run(add_to_empty, deps, (caller.user_id, body.amount))
    await asyncio.sleep(0.01)
    purse = await deps.storage.get(Purse, caller.user_id)
    assert purse is not None
    return Total(total=purse.total, secret=SECRET)


@router.post("/api/v1/look")
async def look_route(caller: CallerDep, request: Request) -> Total:
    deps: Deps = request.app.state.deps
    purse = await deps.storage.get(Purse, caller.user_id)
    return Total(total=0 if purse is None else purse.total)


@router.post("/api/v1/buy")
async def buy_route(body: Amount, caller: CallerDep, request: Request) -> Total:
    deps: Deps = request.app.state.deps
    claim = await deps.work.claim(decide, deps, body.amount)
    paid = await deps.vendor.charge(claim.vendor_key, claim.decided)
    return Total(total=await deps.work.run(add, deps, (caller.user_id, paid)))


@router.post("/api/v1/auth/add")
async def auth_route(body: Amount, caller: CallerDep, request: Request) -> Total:
    return await add_route(body, caller, request)


class Backend(Protocol):
    lease_ttl_ms: int

    def storage(self, service: str = "orders") -> Storage: ...
    async def pass_ms(self, ms: int) -> None: ...


class Replica:
    """One process of the service."""

    def __init__(self, storage: Storage, clock: ManualClock, vendor: Vendor, lease_ms: int, wait_s: float) -> None:
        nothing_is_sent = cast(Bus, None)
        work = Work(storage, nothing_is_sent, clock, "orders")

        async def keys() -> dict[str, Any]:
            return {"keys": [jwk_of(SIGNER.public_key(), "k1")]}

        self.clock = clock
        tokens = TokenVerifier(KeySet(keys, clock), clock)
        app = create_app(
            service="orders",
            routers=[router],
            deps=Deps(storage, work, vendor),
            tokens=tokens,
            clock=clock,
            idempotency=Idempotency("orders", storage, work, SEALER, clock, wait_s=wait_s, lease_ms=lease_ms),
        )
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://test")

    async def call(
        self, path: str, amount: int = 5, key: str | None = "k-1", *, user: str = "u1", method: str = "POST"
    ) -> httpx.Response:
        headers = {b"Authorization": f"Bearer {token_of(user, self.clock)}".encode()}
        if key is not None:
            headers[b"Idempotency-Key"] = key.encode("latin-1")
        return await self.http.request(method, f"/api/v1{path}", json={"amount": amount}, headers=headers)


def token_of(user: str, clock: ManualClock, role: Literal["user", "admin"] = "user") -> str:
    now_ms = clock.now_ms()
    claims = Claims(
        user_id=user,
        session_id="ses",
        role=role,
        issued_at=now_ms // 1000,
        expires_at=now_ms // 1000 + 200_000,
        session_at_ms=now_ms,
        registered_at_ms=now_ms,
    )
    return sign(claims, SIGNER, "k1")


@dataclass
class Shop:
    """The service on a store, as many replicas as wanted."""

    backend: Backend
    clock: ManualClock
    vendor: Vendor

    def replica(self, storage: Any = None, *, wait_s: float = 10.0, lease_ms: int = LEASE_MS) -> Replica:
        return Replica(storage or self.backend.storage(), self.clock, self.vendor, lease_ms, wait_s)

    @property
    def short_lease_ms(self) -> int:
        """Of a call that dies: the test waits for its end, in real time where the store keeps the time itself."""
        return max(self.backend.lease_ttl_ms, 1_500)

    async def purse(self, user: str = "u1") -> tuple[int, int]:
        purse = await self.backend.storage().get(Purse, user)
        return (0, 0) if purse is None else (purse.total, purse.moves)


@pytest.fixture
async def shop(storage_backend: Backend, clock: ManualClock) -> Shop:
    await storage_backend.storage().migrate([Purse, IdempotentRequest])
    clock = getattr(storage_backend, "clock", clock)
    return Shop(storage_backend, clock, Vendor())


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


@pytest.mark.parametrize("path", ["/add", "/begin", "/buy"])
async def test_fifty_equal_calls_on_two_replicas_have_one_effect_and_one_answer(shop: Shop, path: str) -> None:
    replicas = [shop.replica(), shop.replica()]
    answers = await asyncio.gather(*(replicas[i % 2].call(path) for i in range(50)))
    assert {answer.status_code for answer in answers} == {201 if path == "/begin" else 200}
    assert len({answer.content for answer in answers}) == 1
    assert await shop.purse() == (5, 1)
    assert list(shop.vendor.charges.values()) == ([5] if path == "/buy" else [])


async def test_another_body_under_the_same_key_is_a_conflict_and_has_no_effect(shop: Shop) -> None:
    replicas = [shop.replica(), shop.replica()]
    answers = await asyncio.gather(*(replicas[i % 2].call("/add", 1 + i % 2) for i in range(20)))
    kept = [answer for answer in answers if answer.status_code == 200]
    assert len({answer.content for answer in kept}) == 1
    assert {(a.status_code, code(a)) for a in answers if a.status_code != 200} == {(409, "IDEMPOTENCY_CONFLICT")}
    assert len(kept) == 10
    assert (await shop.purse())[1] == 1


async def test_a_key_belongs_to_its_user_method_and_path(shop: Shop) -> None:
    replica = shop.replica()
    for user, method, path in [("u1", "POST", "/add"), ("u2", "POST", "/add"), ("u1", "PUT", "/add")]:
        assert (await replica.call(path, user=user, method=method)).status_code == 200
    assert (await replica.call("/look")).json()["data"]["total"] == 10
    assert (await shop.purse("u1"), await shop.purse("u2")) == ((10, 2), (5, 1))


async def test_without_a_key_and_under_auth_every_call_counts(shop: Shop) -> None:
    replica = shop.replica()
    calls = [("/add", None), ("/add", None), ("/auth/add", "k-1"), ("/auth/add", "k-1"), ("/auth/add", "no key")]
    for path, key in calls:
        assert (await replica.call(path, key=key)).status_code == 200
    assert await shop.purse() == (25, 5)


async def test_a_route_without_effect_gives_its_first_answer_again(shop: Shop) -> None:
    replica = shop.replica()
    first = await replica.call("/look")
    await replica.call("/add", key="k-2")
    again = await replica.call("/look")
    assert (again.content, again.headers["content-type"]) == (first.content, first.headers["content-type"])
    assert (await replica.call("/look", key="k-3")).json()["data"]["total"] == 5


async def test_a_refusal_is_not_kept(shop: Shop) -> None:
    replica = shop.replica()
    assert code(await replica.call("/add", -1)) == "NOT_RUNNING"
    assert (await replica.call("/add", 7)).json()["data"]["total"] == 7
    assert code(await replica.call("/add", -1)) == "IDEMPOTENCY_CONFLICT"


async def test_a_key_that_is_no_key_is_refused(shop: Shop) -> None:
    for key in ("", " ", "a b", "x" * 256, "caf\u00e9", "tab\tbed"):
        refused = await shop.replica().call("/add", key=key)
        assert (refused.status_code, code(refused)) == (400, "VALIDATION_ERROR")
        assert "Idempotency-Key" in refused.json()["error"]["details"]
    assert await shop.purse() == (0, 0)


async def test_whoever_has_no_valid_token_gets_the_routes_own_refusal(shop: Shop) -> None:
    replica = shop.replica()
    assert (await replica.call("/add")).status_code == 200
    headers = {"Idempotency-Key": "k-1", "Authorization": "Bearer nonsense"}
    refused = await replica.http.post("/api/v1/add", json={"amount": 5}, headers=headers)
    assert code(refused) == "TOKEN_INVALID"


async def test_an_answer_given_to_an_administrator_is_not_given_to_the_same_user_without_the_role(shop: Shop) -> None:
    replica = shop.replica()
    headers = {"Idempotency-Key": "k-1", "Authorization": f"Bearer {token_of('u1', shop.clock, 'admin')}"}
    assert (await replica.http.post("/api/v1/look", json={"amount": 5}, headers=headers)).status_code == 200
    await replica.call("/add", key=None)
    assert (await replica.call("/look")).json()["data"]["total"] == 5


async def test_nothing_readable_is_kept(shop: Shop) -> None:
    replica = shop.replica()
    first = await replica.call("/begin", 4242)
    assert first.json()["data"]["secret"] == SECRET
    assert (await replica.call("/begin", 4242)).content == first.content
    row_id = derived_id("idk", "u1/user", "POST", "/api/v1/begin", "k-1")
    row = await shop.backend.storage().get(IdempotentRequest, row_id)
    assert row is not None
    assert SECRET not in row.model_dump_json()
    with pytest.raises(Unsealable):
        SEALER.open(row.sealed_answer, bound_to="another row")


async def test_after_a_day_the_key_is_free_again(shop: Shop) -> None:
    replica = shop.replica()
    await replica.call("/add")
    shop.clock.advance(86_399)
    assert (await replica.call("/add")).json()["data"]["total"] == 5
    shop.clock.advance(2)
    assert (await replica.call("/add", 6)).json()["data"]["total"] == 11


COMMITS = {"/add": 2, "/begin": 2, "/buy": 3}
CRASHES = [
    (path, at, when) for path, count in COMMITS.items() for at in range(1, count + 1) for when in ("before", "after")
]


@pytest.mark.parametrize(("path", "at", "when"), CRASHES)
async def test_a_crash_at_any_commit_leaves_one_effect_and_a_true_answer(
    shop: Shop, path: str, at: int, when: str
) -> None:
    storage = MortalStorage(shop.backend.storage(), at, when)
    lost = await shop.replica(storage, lease_ms=shop.short_lease_ms).call(path)
    assert (storage.dead, lost.status_code) == (True, 500)
    impatient = await shop.replica(wait_s=0.1).call(path)
    if impatient.status_code == 409:
        assert (path, at, when) in {("/buy", 1, "after"), ("/buy", 2, "before")}, (
            "only a vendor's outcome is waited for"
        )
        await shop.backend.pass_ms(shop.short_lease_ms)
    answers = [await shop.replica().call(path) for _ in range(3)]
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].status_code in (200, 201)
    assert answers[0].json()["data"]["total"] == 5
    assert await shop.purse() == (5, 1)
    if path == "/buy":
        assert len(shop.vendor.charges) == 1


async def charged(replica: Any, charging: asyncio.Event) -> asyncio.Task[Any]:
    """The call that waits for its vendor; a store that is too busy to begin is asked again, as a client would."""
    begun = asyncio.create_task(charging.wait())
    while True:
        running = asyncio.create_task(replica.call("/buy"))
        await asyncio.wait({running, begun}, return_when=asyncio.FIRST_COMPLETED)
        if begun.done():
            return running
        assert (await running).status_code == 503


async def test_the_process_that_lost_its_lease_has_no_effect(shop: Shop) -> None:
    charging, gone_on = asyncio.Event(), asyncio.Event()

    class SlowVendor(Vendor):
        async def charge(self, key: str, amount: int) -> int:
            if not charging.is_set():
                charging.set()
                await gone_on.wait()
            return await super().charge(key, amount)

    shop.vendor = SlowVendor()
    slow = await charged(shop.replica(lease_ms=shop.short_lease_ms), charging)
    await shop.backend.pass_ms(shop.short_lease_ms)
    taken_over = await shop.replica().call("/buy")
    gone_on.set()
    assert (await slow).content == taken_over.content
    assert taken_over.status_code == 200
    assert await shop.purse() == (5, 1)
    assert len(shop.vendor.charges) == 1


async def test_a_vendors_refusal_frees_the_key_and_an_unknown_outcome_keeps_the_vendors_key(shop: Shop) -> None:
    declined = NijaError(ErrorCode.PAYMENT_FAILED, "Declined.")
    shop.vendor.says = [declined, unavailable("No answer from the vendor."), unavailable("Nor now.")]
    replica = shop.replica()
    assert [(await replica.call("/buy")).status_code for _ in range(4)] == [402, 503, 503, 200]
    first, second = shop.vendor.calls.items()
    assert (first[1], second[1]) == (1, 3), "a new key after the refusal, the same one while the outcome is not known"
    assert await shop.purse() == (5, 1)


async def test_a_running_first_is_waited_for_and_then_refused(shop: Shop) -> None:
    charging, release = asyncio.Event(), asyncio.Event()

    class StuckVendor(Vendor):
        async def charge(self, key: str, amount: int) -> int:
            charging.set()
            await release.wait()
            return await super().charge(key, amount)

    shop.vendor = StuckVendor()
    same_process = shop.replica(wait_s=0.1)
    running = await charged(same_process, charging)
    for replica in (same_process, shop.replica(wait_s=0.1)):
        refused = await replica.call("/buy")
        assert (refused.status_code, code(refused)) == (409, "IDEMPOTENCY_CONFLICT")
    waiting = asyncio.create_task(shop.replica().call("/buy"))
    release.set()
    assert (await running).status_code == 200
    assert (await waiting).content == (await running).content
