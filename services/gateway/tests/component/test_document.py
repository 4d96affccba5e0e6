"""`/openapi.json` and `/docs`: whole, or 503."""

from __future__ import annotations

from typing import Any

import orjson

SCHEMAS: dict[str, Any] = {"components": {"schemas": {}}}


def documented(*paths: str) -> Any:
    """A service that documents a GET of each path."""

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        operation = {
            "operationId": "get_something",
            "tags": ["account"],
            "description": "Reads <something>.",
            "responses": {"200": {"description": "Done", "content": {"application/json": {"schema": {}}}}},
        }
        body = orjson.dumps({"paths": {path: {"get": operation} for path in paths}, **SCHEMAS})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return answering


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("not today")


async def test_the_document_holds_what_the_gateway_lets_in_and_nothing_else(gateway: Any) -> None:
    gateway.toy.answering = documented("/api/v1/account/balance", "/internal")
    answer = await gateway.client().get("/openapi.json")
    assert answer.status_code == 200
    document = answer.json()
    assert list(document["paths"]) == ["/api/v1/account/balance"]
    assert document["paths"]["/api/v1/account/balance"]["get"]["responses"]["200"]["content"]["application/json"][
        "example"
    ]
    assert document["openapi"] == "3.1.0"


async def test_the_page_shows_the_operations_and_escapes_them(gateway: Any) -> None:
    gateway.toy.answering = documented("/api/v1/account/balance")
    answer = await gateway.client().get("/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "/api/v1/account/balance" in answer.text and "Reads &lt;something&gt;." in answer.text


async def test_half_a_document_is_not_shown_and_the_next_try_may_be_whole(gateway: Any) -> None:
    gateway.toy.answering = failing
    refused = await gateway.client().get("/openapi.json")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    gateway.toy.answering = documented("/api/v1/account/balance")
    assert (await gateway.client().get("/openapi.json")).status_code == 200
