"""What holds for every operation alike: who may call, and that a body or a query that is not known is refused.

Which operations there are comes from the gateway's table, what they take from the API document; each is a test of its
own, named after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from nija_common.http.document import operation_id
from nija_common.testing.client import Answer, ApiClient
from nija_gateway.domain.routes import API, ROUTES, Route, Who, is_admin_path

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text("utf-8"))
Refused = Callable[[Answer, int, str], None]


def named(routes: Iterable[Route]) -> list[object]:
    return [pytest.param(route, id=operation_id(route.method, route.path)) for route in routes]


def path_of(route: Route) -> str:
    """The path below `/api/v1`, with an id that nobody has."""
    return re.sub(r"{[^}]+}", "nobody_has_this", route.path.removeprefix(API))


def called(client: ApiClient, route: Route) -> Answer:
    body: dict[str, object] | None = None if route.method in ("GET", "DELETE") else {}
    return client.call(route.method, path_of(route), body)


def wrong_input(route: Route) -> tuple[str, dict[str, object] | None] | None:
    """A query and a body that the document's operation does not take; None where it takes neither."""
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    if "requestBody" in operation and route.method != "DELETE":
        return "", {"a_misspelt_field": 1}
    for parameter in operation.get("parameters", ()):
        if parameter.get("in") == "query":
            return f"?{parameter['name']}={'!' * 501}", None
    return None


REACHED = [route for route in ROUTES if route.path.startswith(API) and route.method != "SOCKET"]
SIGNED_IN = [route for route in REACHED if route.who in (Who.USER, Who.ADMIN)]
ADMINS = [route for route in REACHED if is_admin_path(route.path)]
BAD_INPUT = [route for route in REACHED if route.who is not Who.WEBHOOK and wrong_input(route) is not None]


@pytest.mark.parametrize("route", named(SIGNED_IN))
def test_no_token(anybody: ApiClient, refused: Refused, route: Route) -> None:
    refused(called(anybody, route), 401, "TOKEN_INVALID")


@pytest.mark.parametrize("route", named(ADMINS))
def test_not_an_administrator(stranger: ApiClient, refused: Refused, route: Route) -> None:
    refused(called(stranger, route), 403, "UNAUTHORIZED")


@pytest.mark.parametrize("route", named(BAD_INPUT))
def test_bad_input(admin: ApiClient, refused: Refused, route: Route) -> None:
    wrong = wrong_input(route)
    assert wrong is not None
    query, body = wrong
    code = "INVALID_SETTING" if body is not None and route.path.endswith("/settings") else "VALIDATION_ERROR"
    refused(admin.call(route.method, path_of(route) + query, body), 400, code)
