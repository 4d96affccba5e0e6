"""Requests that nobody thought of: made from the API document for every operation, valid ones and others, by three callers.

Whatever is sent, the answer is one that the document names: its status, its content type, its headers, its schema, and
never a 500. A number of cases an operation and caller, always the same ones.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nija_common.testing.client import PASSWORD, ApiClient
from nija_common.testing.long_run import LONG
from nija_common.testing.platforms import Embedded, wait_for
from nija_gateway.domain.routes import ROUTES, LimitClass, Table

Caller = Literal["nobody", "user", "administrator"]

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text("utf-8"))
API = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {
    found.ok().definition.raw["operationId"]: found.ok() for found in API.get_all_operations() if isinstance(found, Ok)
}
TABLE = Table(ROUTES)
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CASES = {"nobody": 2, "user": 6, "administrator": 6} if LONG else {"nobody": 1, "user": 4, "administrator": 3}
"""Nobody's are refused before they are read."""
CASES_OF_STOPS = 2
"""A switch that is tripped waits for the workers."""
HARD_TEXTS = ("\ud800", "\x00", "a" * 100_000, "", " ", "\u202e{{7*7}}'\"<b>")
"""Half of a surrogate pair, which JSON can spell though it is no character; NUL; length; and what somebody may write out."""
DATES = {"start_date", "end_date", "expires_at"}
HARD_DATES = ("9999-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30")
SIGN_OUT = {"post_auth_logout", "put_auth_change_password"}
EXPECTED_FAILURES = {
    ("post_config_brokers", 502, "BROKER_ERROR"),
    ("post_config_brokers_test", 502, "BROKER_ERROR"),
    ("post_webhooks_stripe", 503, "SERVICE_UNAVAILABLE"),
}
"""Exchanges cannot be reached from these tests, and no secret of Stripe's is set."""


@dataclass(frozen=True, slots=True)
class People:
    """Who calls, and by what."""

    platform: Embedded
    administrator: ApiClient
    trader: ApiClient
    connection: requests.Session

    @contextmanager
    def calling(self, caller: Caller, operation: Any) -> Iterator[ApiClient]:
        """Reading is of somebody who has something to read; who writes is new, and spoils nobody else's account."""
        reads = operation.method.upper() == "GET"
        if caller == "administrator":
            with signed_in(self.platform, self.administrator.email) as client:
                yield client
                if operation.path.endswith("/kill-switch"):
                    client.login().ok("DELETE", "/admin/kill-switch?reason=over")
        elif caller == "user" and reads:
            yield self.trader
        else:
            with ApiClient(self.platform.url) as client:
                yield client if caller == "nobody" else client.register()


def signed_in(platform: Embedded, email: str) -> ApiClient:
    client = ApiClient(platform.url)
    client.email = email
    return client.login()


@pytest.fixture(scope="session")
def people(platform: Embedded) -> Iterator[People]:
    """An administrator of these tests alone, and a trader with an open position, a closed and a cancelled trade."""
    platform.create_admin("tester@nija.example", PASSWORD)
    with signed_in(platform, "tester@nija.example") as administrator, ApiClient(platform.url).register() as trader:
        roomy = {"subscription_tier": "enterprise"}
        administrator.ok("PUT", f"/admin/users/{trader.user_id}", roomy)
        trades_of(trader)
        with requests.Session() as connection:
            yield People(platform, administrator, trader, connection)


def trades_of(trader: ApiClient) -> None:
    trader.ok("POST", "/trading/start", {"broker": "coinbase", "paper_trading": True, "strategy": "SIGNALS_ONLY"})
    wait_for("the bot runs", lambda: trader.ok("GET", "/trading/status")["status"] == "running", every=0.2)
    key = trader.ok("POST", "/config/webhook-key")["webhook_key"]

    def alert(action: str, number: int) -> None:
        body = {"symbol": "BTC-USD", "action": action, "api_key": key, "alert_id": f"{action}-{number}"}
        trader.ok("POST", "/webhooks/tradingview", body)

    def positions(count: int) -> Callable[[], bool]:
        return lambda: len(trader.ok("GET", "/account/positions")["positions"]) == count

    alert("sell", 1)
    alert("buy", 2)
    wait_for("a position is open", positions(1), every=0.2)
    alert("sell", 3)
    wait_for("it is closed", positions(0), every=0.2)
    alert("buy", 4)
    wait_for("another is open", positions(1), every=0.2)


def cases_of(operation: Any) -> st.SearchStrategy[Any]:
    """Valid requests and, where the operation takes anything that can be wrong, others."""
    valid: st.SearchStrategy[Any] = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    takes = operation.body or operation.query or operation.path_parameters or operation.headers
    if not takes:
        return valid
    return st.one_of(valid, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def reaches(operation: Any, case: Any) -> bool:
    """Whether the gateway's table finds the operation: an id that is no segment of a path leads elsewhere."""
    route = TABLE.find(operation.method.upper(), case.formatted_path).route
    return route is not None and route.path == operation.path


def shown(operation: Any, people: People) -> Iterator[Any]:
    """The document's own request; the same with each of its texts replaced by a hard one; and hard dates."""
    content = operation.definition.raw.get("requestBody", {}).get("content", {}).get("application/json", {})
    example = content.get("example")
    if example is not None:
        if operation.path.endswith("/auth/login"):
            # Ten failures lock an address: other tests and other callers fail with the example's.
            example = {**example, "email": f"{secrets.token_hex(6)}@example.com"}
        bodies = [example]
        for name in [name for name, value in example.items() if isinstance(value, str)]:
            bodies += [{**example, name: hard} for hard in HARD_TEXTS]
        names = content["schema"].get("properties", {}) or _component(content["schema"]).get("properties", {})
        bodies += [{**example, name: hard} for name in names if name in DATES for hard in HARD_DATES]
        for body in bodies:
            yield operation.Case(body=body, media_type="application/json", **ids_of(operation, people))
    for parameter in operation.definition.raw.get("parameters", ()):
        if parameter.get("in") == "query" and parameter["name"] in DATES:
            for hard in HARD_DATES:
                yield operation.Case(query={parameter["name"]: hard}, **ids_of(operation, people))


def _component(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["components"]["schemas"].get(schema.get("$ref", "").rsplit("/", 1)[-1], {})
    return found


def ids_of(operation: Any, people: People) -> dict[str, Any]:
    names = [p["name"] for p in operation.definition.raw.get("parameters", ()) if p.get("in") == "path"]
    ids = {name: people.trader.user_id if name == "user_id" else "nobody_has_this" for name in names}
    return {"path_parameters": ids} if ids else {}


def is_stop(operation: Any) -> bool:
    route = TABLE.find(operation.method.upper(), operation.path).route
    return route is not None and route.limit is LimitClass.STOP


@pytest.mark.parametrize("caller", ["nobody", "user", "administrator"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_is_one_of_the_documents(people: People, name: str, caller: Caller) -> None:
    operation = OPERATIONS[name]
    statuses: Counter[int] = Counter()
    with people.calling(caller, operation) as client:

        def call(case: Any) -> None:
            answer = case.call(
                base_url=client.url,
                session=people.connection,
                timeout=30,
                headers={"Authorization": f"Bearer {client.token}"} if client.token is not None else {},
            )
            statuses[answer.status_code] += 1
            if name in SIGN_OUT and answer.status_code == 200:
                client.login()
            if answer.status_code >= 500:
                code = answer.json()["error"]["code"]
                assert (name, answer.status_code, code) in EXPECTED_FAILURES, f"{answer.status_code}: {case!r}"
            case.validate_response(answer, checks=CHECKS)

        for case in shown(operation, people):
            call(case)

        @settings(
            max_examples=CASES_OF_STOPS if is_stop(operation) else CASES[caller],
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases_of(operation))
        def call_all(case: Any) -> None:
            assume(reaches(operation, case))
            call(case)

        call_all()
    assert caller == "nobody" or set(statuses) != {401}, "the token was not good"
    assert len(OPERATIONS) == sum(len(item) for item in DOCUMENT["paths"].values())
    assert statuses[429] == 0, f"a limit was met, so little was tried: {statuses}"
