"""What the edge does to requests and answers on their way: paths, headers, bodies, trouble behind it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from nija_gateway.api.edge import Edge
from nija_gateway.deps import Times
from nija_gateway.domain.circuit import IN_FLIGHT

BALANCE = "/api/v1/account/balance"
SETTINGS = "/api/v1/config/settings"


async def test_unknown_paths_and_methods_answer_in_the_envelope(gateway: Any) -> None:
    client = gateway.client()
    nothing = await client.get("/api/v1/no/such/thing")
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (404, "NOT_FOUND")
    wrong = await client.patch(BALANCE)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert wrong.headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await client.get("/ws/v1")).status_code == 404


async def test_options_say_what_a_path_takes(gateway: Any) -> None:
    answer = await gateway.client().options(SETTINGS)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, "GET, HEAD, OPTIONS, PUT", b"")


async def test_head_is_get_without_the_body(gateway: Any) -> None:
    client = gateway.client("usr_a")
    full, head = await client.get(BALANCE), await client.head(BALANCE)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == full.headers["content-length"]
    assert [call.method for call in gateway.toy.seen] == ["GET", "GET"]


async def test_the_page_points_to_the_documentation(gateway: Any) -> None:
    answer = await gateway.client().get("/")
    assert answer.status_code == 200
    assert 'href="/docs"' in answer.text


@pytest.mark.parametrize(
    "path",
    ["/api/v1/x/../admin/users", "/api/v1/%2e%2e/x", "/api/v1/a%2Fb", "/api/v1/a%00", "/api/v1/%zz", "/api/v1/%ff%fe"],
)
async def test_paths_that_could_mean_two_things_are_refused(gateway: Any, path: str) -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await gateway.app(scope, None, send)
    assert sent[0]["status"] == 400
    assert b"VALIDATION_ERROR" in sent[1]["body"]
    assert not gateway.toy.seen


async def test_a_sane_request_id_is_kept_another_is_replaced(gateway: Any) -> None:
    client = gateway.client("usr_a")
    kept = await client.get(BALANCE, headers={"X-Request-ID": "client-4711"})
    assert kept.headers.get_list("x-request-id") == ["client-4711"]
    assert gateway.toy.seen[0].header("x-request-id") == "client-4711"
    made = await client.get("/api/v1/nothing", headers={"X-Request-ID": "bad id;"})
    assert made.headers["x-request-id"].startswith("req_")


async def test_an_idempotency_key_goes_inward_as_it_is(gateway: Any) -> None:
    await gateway.known("usr_a")
    headers = {"Idempotency-Key": "~order/4711!"}
    assert (await gateway.client("usr_a").put("/api/v1/config/settings", json={}, headers=headers)).status_code == 200
    assert gateway.toy.seen[0].header("idempotency-key") == "~order/4711!"


async def test_headers_that_only_the_gateway_may_say_are_dropped(gateway: Any) -> None:
    forged = {
        "X-Nija-Client-Address": "6.6.6.6",
        "X-Nija-User": "usr_root",
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "Connection": "keep-alive, X-Drop-Me, Authorization",
        "X-Drop-Me": "1",
        "TE": "trailers",
        "Proxy-Authorization": "Basic abc",
        "X-Keep-Me": "1",
    }
    assert (await gateway.client("usr_a").get(BALANCE, headers=forged)).status_code == 200
    seen = gateway.toy.seen[0]
    names = {name.decode() for name, _ in seen.headers}
    assert seen.header("x-nija-client-address") == "127.0.0.1"
    assert {"x-keep-me", "authorization", "traceparent", "x-request-id"} <= names
    assert not names & {
        "x-nija-user", "x-forwarded-for", "x-forwarded-proto", "forwarded", "x-real-ip",
        "connection", "x-drop-me", "te", "proxy-authorization",
    }  # fmt: skip


async def test_the_clients_trace_goes_on(gateway: Any) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await gateway.client("usr_a").get(BALANCE, headers={"traceparent": trace})
    await gateway.client("usr_a").get(BALANCE, headers={"traceparent": "nonsense"})
    seen = [call.header("traceparent") for call in gateway.toy.seen]
    assert seen[0].split("-")[1] == trace.split("-")[1]
    assert seen[1].startswith("00-") and seen[1] != "nonsense"


async def test_hop_by_hop_headers_of_an_answer_stay_inside(gateway: Any) -> None:
    gateway.toy.headers = [(b"connection", b"x-inner"), (b"x-inner", b"1"), (b"keep-alive", b"5"), (b"server", b"s")]
    answer = await gateway.client("usr_a").get(BALANCE)
    assert not {"connection", "x-inner", "keep-alive", "server"} & set(answer.headers)


async def test_the_query_and_the_body_arrive_as_they_were_sent(gateway: Any) -> None:
    answer = await gateway.client("usr_a").put(f"{SETTINGS}?a=1&b=%20x", content=b"x" * 1024 * 1024)
    assert answer.json()["data"]["bytes"] == 1024 * 1024
    assert gateway.toy.seen[0].query == b"a=1&b=%20x"


async def pieces_of(size: int, count: int) -> Any:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_above_a_mebibyte_is_413_and_nothing_happens(gateway: Any, announced: bool) -> None:
    content = b"x" * (1024 * 1024 + 1) if announced else pieces_of(65_536, 17)
    answer = await gateway.client("usr_a").put(SETTINGS, content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert not gateway.toy.seen


async def test_an_answer_streams_and_a_slow_client_slows_the_service(gateway: Any) -> None:
    produced: list[int] = []
    taken = asyncio.Semaphore(0)

    async def streaming(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            produced.append(number)
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": number < 2})

    async def send(message: Any) -> None:
        got.append(message)
        await taken.acquire()

    got: list[Any] = []
    gateway.toy.answering = streaming
    call = asyncio.create_task(gateway.app(scope_of(gateway, BALANCE), empty_body, send))
    for expected in ([], [0], [0, 1], [0, 1, 2]):
        while len(got) < len(expected) + 1:
            await asyncio.sleep(0)
        assert produced == expected
        taken.release()
    await call
    assert [m.get("body") for m in got[1:]] == [b"0", b"1", b"2"]


async def test_a_service_that_fails_is_503_and_soon_not_called_until_it_may_be_back(gateway: Any) -> None:
    async def failing(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("boom")

    gateway.toy.answering = failing
    client = gateway.client("usr_a")
    answers = [await client.get(BALANCE) for _ in range(8)]
    assert {(a.status_code, a.json()["error"]["code"]) for a in answers} == {(503, "SERVICE_UNAVAILABLE")}
    assert "retry-after" in answers[-1].headers
    assert gateway.toy.calls == 5
    stop = await client.post("/api/v1/trading/stop")
    assert (stop.status_code, gateway.toy.calls) == (503, 6)
    assert (await client.get("/api/v1/config/settings")).status_code == 503
    gateway.toy.answering = None
    gateway.clock.advance(1)
    assert (await client.get(BALANCE)).status_code == 200
    assert (await client.get(BALANCE)).status_code == 200


async def test_a_stop_button_is_passed_on_while_a_service_is_cut_off(gateway: Any) -> None:
    async def failing(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("boom")

    gateway.toy.answering = failing
    client = gateway.client("usr_a")
    for _ in range(5):
        await client.get("/api/v1/trading/status")
    gateway.toy.answering = None
    assert (await client.get("/api/v1/trading/status")).status_code == 503
    assert (await client.post("/api/v1/trading/emergency-stop")).status_code == 200
    assert (await client.get("/api/v1/trading/status")).status_code == 200


async def test_overload_is_told_to_come_back_and_stop_buttons_still_get_through(gateway: Any) -> None:
    """A service that hangs holds so many calls and no more (promise 22)."""
    hanging, stopping = asyncio.Event(), scope_of(gateway, "/api/v1/trading/emergency-stop", "POST")

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("status"):
            await hanging.wait()
        gateway.toy.answering = None
        await gateway.toy.app(scope, receive, send)
        gateway.toy.answering = slow

    gateway.toy.answering = slow
    tokens = [gateway.platform.token(f"usr_{n}") for n in range(6)]
    waiting = scope_of(gateway, "/api/v1/trading/status")
    calls = []
    for number in range(IN_FLIGHT):
        header = (b"authorization", f"Bearer {tokens[number % 6]}".encode())
        calls.append(asyncio.create_task(ask(gateway.app, {**waiting, "headers": [header]}, empty_body)))
    while gateway.toy.calls < IN_FLIGHT:
        await asyncio.sleep(0)
    status, body = await ask(gateway.app, waiting, empty_body)
    assert (status, b"SERVICE_UNAVAILABLE" in body) == (503, True)
    assert (await ask(gateway.app, stopping, empty_body))[0] == 200
    hanging.set()
    assert {status for status, _ in await asyncio.gather(*calls)} == {200}


async def test_a_service_that_does_not_answer_in_time_is_503(gateway: Any) -> None:
    async def silent(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.Event().wait()

    gateway.toy.answering = silent
    status, body = await ask(impatient(gateway), scope_of(gateway, BALANCE), empty_body)
    assert status == 503
    assert b"SERVICE_UNAVAILABLE" in body


async def test_a_client_that_does_not_send_its_body_in_time_is_told_so(gateway: Any) -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    edge = impatient(gateway)
    for _ in range(6):
        status, body = await ask(edge, scope_of(gateway, SETTINGS, "PUT", length=5), never)
        assert status == 400
        assert b"did not arrive in time" in body
    gateway.toy.answering = None
    status, _ = await ask(edge, scope_of(gateway, SETTINGS), empty_body)
    assert status == 200, "slow clients must not cut the service off"


async def test_clients_that_take_no_answer_are_given_up_and_not_held_against_the_service(gateway: Any) -> None:
    async def stalled(_message: Any) -> None:
        await asyncio.Event().wait()

    edge = impatient(gateway)
    for _ in range(6):
        await edge(scope_of(gateway, BALANCE), empty_body, stalled)
    status, _ = await ask(edge, scope_of(gateway, BALANCE), empty_body)
    assert status == 200


async def test_an_error_raised_behind_a_complete_answer_changes_nothing(gateway: Any) -> None:
    """Starlette answers 500 and raises the error again for the server to log."""

    async def raising(scope: Any, receive: Any, send: Any) -> None:
        gateway.toy.answering = None
        await gateway.toy.app(scope, receive, send)
        gateway.toy.answering = raising
        raise RuntimeError("boom")

    gateway.toy.answering, gateway.toy.status = raising, 500
    client = gateway.client("usr_a")
    assert [(await client.get(BALANCE)).status_code for _ in range(8)] == [500] * 8


async def test_an_answer_that_breaks_off_stays_incomplete(gateway: Any) -> None:
    async def breaking(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("boom")

    gateway.toy.answering = breaking
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await gateway.app(scope_of(gateway, BALANCE), empty_body, send)
    assert [m["type"] for m in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"] is True


async def test_a_client_that_leaves_gets_nothing_and_the_service_sees_it_leave(gateway: Any) -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    status, _ = await ask(gateway.app, scope_of(gateway, SETTINGS, "PUT", length=5), gone)
    assert status is None
    assert not gateway.toy.seen


async def empty_body() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


def impatient(gateway: Any) -> Edge:
    deps = gateway.platform.deps("gateway")
    return Edge(dataclasses.replace(deps, times=Times(answer=0.05, linger=0.05)))


def scope_of(gateway: Any, path: str, method: str = "GET", *, length: int = 0) -> dict[str, Any]:
    token = gateway.platform.token("usr_a")
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "headers": [(b"authorization", f"Bearer {token}".encode()), (b"content-length", str(length).encode())],
    }


async def ask(app: Any, scope: Any, receive: Any) -> tuple[int | None, bytes]:
    status, body = None, b""

    async def send(message: Any) -> None:
        nonlocal status, body
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            body += message["body"]

    await app(scope, receive, send)
    return status, body
