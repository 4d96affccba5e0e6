"""Putting documents together: names that clash, references, what is not reachable."""

from __future__ import annotations

from typing import Any

from nija_gateway.domain.api_document import put_together
from nija_gateway.domain.examples import with_examples
from nija_gateway.domain.reference_page import page
from nija_gateway.domain.routes import Route

ROUTES = (Route("GET", "/a", "one"), Route("GET", "/b", "two-three"), Route("GET", "/c", "one"))


def service(path: str, field: str) -> dict[str, Any]:
    """A service whose schema `Answer` has one field, and that shares the schema `Error`."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}
    operation = {
        "operationId": f"get{path}",
        "tags": ["t"],
        "responses": {"200": {"description": "Done", "content": content}},
    }
    schemas = {
        "Answer": {"type": "object", "properties": {field: {"$ref": "#/components/schemas/Error"}}},
        "Error": {"type": "object"},
    }
    return {"paths": {path: {"get": operation}}, "components": {"schemas": schemas}}


def whole() -> dict[str, Any]:
    return put_together({"one": service("/a", "x"), "two-three": service("/b", "y")}, ROUTES, "http://h")


def test_schemas_that_differ_get_the_services_name_and_references_follow() -> None:
    document = whole()
    assert set(document["components"]["schemas"]) == {"OneAnswer", "TwoThreeAnswer", "Error"}
    shown = document["paths"]["/b"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert shown == {"$ref": "#/components/schemas/TwoThreeAnswer"}
    assert document["components"]["schemas"]["TwoThreeAnswer"]["properties"] == {
        "y": {"$ref": "#/components/schemas/Error"}
    }


def test_a_route_that_no_service_documents_is_left_out() -> None:
    assert set(whole()["paths"]) == {"/a", "/b"}


def test_examples_stand_beside_the_schema_of_their_operation() -> None:
    document = with_examples(whole(), {"GET /a": {"response": {"success": True}}, "GET /z": {"response": 1}})
    media = document["paths"]["/a"]["get"]["responses"]["200"]["content"]["application/json"]
    assert media["example"] == {"success": True} and "$ref" in media["schema"]
    assert "example" not in document["paths"]["/b"]["get"]["responses"]["200"]["content"]["application/json"]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = page(whole()).decode()
    assert "<script" not in text and "src=" not in text and "@import" not in text
    assert "x: object" in text and "y: object" in text
