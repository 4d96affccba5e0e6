"""The API document is OpenAPI 3.1, its examples fit it, and it says what the API reference says.

The reference as data lies beside the checkout; where it does not, what needs it is skipped, and the rest still runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from nija_cli.api_document import api_document
from nija_common.errors import HTTP_STATUS, ErrorCode
from nija_common.http.document import ANY, SIGNED_IN, takes_idempotency_key
from nija_gateway.domain.routes import API
from nija_gateway.wiring import examples

Json = dict[str, Any]
Key = tuple[str, str]
"""Method and path, the names of its parameters left out: they are ours to choose."""

BESIDES_THE_REFERENCE = {("GET", "/exports/{}")}
DOCUMENT = api_document()
EXAMPLES = examples()
_URN = "urn:nija:api"


def shape(path: str) -> str:
    return re.sub(r"{[^}]+}", "{}", path)


def operations() -> Iterator[tuple[Key, Json]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield (method.upper(), shape(path)), operation


OPERATIONS = dict(operations())


def operation_of(name: str) -> Json | None:
    """The operation of an example's `METHOD /path`."""
    method, path = name.split(" ", 1)
    return OPERATIONS.get((method, shape(path)))


SHOWN = [name for name in EXAMPLES if operation_of(name) is not None]


def success_of(operation: Json) -> tuple[int, Json]:
    (status,) = (status for status in operation["responses"] if status.startswith("2"))
    return int(status), operation["responses"][status]


def schema_of(part: Json) -> Json:
    """The schema of a body or an answer in JSON."""
    schema: Json = part["content"]["application/json"]["schema"]
    return schema


def codes_of(operation: Json) -> dict[str, int]:
    """Every code of an operation, with the status that it is listed at."""
    return {
        code: int(status)
        for status, answer in operation["responses"].items()
        if not status.startswith("2")
        for code in schema_of(answer)["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"]
    }


def complaints(schema: Json, value: object) -> list[str]:
    """What is wrong with a value, references followed within the document."""
    whole = Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
    registry = Registry().with_resource(_URN, whole)
    validator = Draft202012Validator(
        _absolute(schema), registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(value)]


def _absolute(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: f"{_URN}{v}" if k == "$ref" else _absolute(v) for k, v in node.items()}
    return [_absolute(item) for item in node] if isinstance(node, list) else node


# What needs no reference


def test_the_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


def test_every_code_stands_at_its_status() -> None:
    for key, operation in OPERATIONS.items():
        found = codes_of(operation)
        assert found == {code: HTTP_STATUS[ErrorCode(code)] for code in found}, key
        assert set(operation.get("x-error-codes", ())) <= set(found), key


def test_every_operation_says_who_may_call_and_the_errors_that_come_with_it() -> None:
    for (method, path), operation in OPERATIONS.items():
        expected = set(ANY)
        if "security" in operation:
            assert operation["security"] == [{"bearer": []}]
            expected |= set(SIGNED_IN)
        if path.startswith(f"{API}/admin/"):
            assert "security" in operation
            expected.add(ErrorCode.UNAUTHORIZED)
        if method in ("POST", "PUT") and takes_idempotency_key(path):
            expected.add(ErrorCode.IDEMPOTENCY_CONFLICT)
        assert {code.value for code in expected} <= set(codes_of(operation)), (method, path)


def test_every_operation_of_the_api_has_an_example_and_every_example_an_operation() -> None:
    shown = {(method, shape(path)) for method, path in (name.split(" ", 1) for name in EXAMPLES)}
    assert shown - set(OPERATIONS) == set(), "examples of operations that are not there"
    assert set(OPERATIONS) - shown <= BESIDES_THE_REFERENCE


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_fits_the_schemas_of_its_operation(name: str) -> None:
    operation = operation_of(name)
    assert operation is not None
    example = EXAMPLES[name]
    if "request" in example:
        assert complaints(schema_of(operation["requestBody"]), example["request"]) == []
    else:
        assert "requestBody" not in operation or not operation["requestBody"].get("required", False)
    assert complaints(schema_of(success_of(operation)[1]), example["response"]) == []


@pytest.mark.parametrize("name", SHOWN)
def test_an_answer_without_one_of_its_fields_does_not_fit(name: str) -> None:
    """The schemas say something: who leaves out a field of the reference's breaks the contract."""
    operation = operation_of(name)
    assert operation is not None
    answer = EXAMPLES[name]["response"]
    schema = schema_of(success_of(operation)[1])
    assert complaints(schema, {**answer, "data": {}}) != []
    assert complaints(schema, {**answer, "more": 1}) != []


# What the reference says


@pytest.fixture(scope="module")
def contract(shared_folder: Path) -> Json:
    found: Json = orjson.loads((shared_folder / "contract/operations.json").read_bytes())
    return found


@pytest.fixture(scope="module")
def reference(contract: Json) -> dict[Key, Json]:
    """Operations and extensions; an extension's answer is told without the envelope."""
    found: dict[Key, Json] = {}
    for operation in contract["operations"]:
        answer = operation.get("response", {}).get("data", {})
        found[operation["method"], shape(API + operation["path"])] = {**operation, "data": answer}
    for extension in contract["extensions"]:
        found[extension["method"], shape(API + extension["path"])] = {**extension, "data": extension["response"]}
    return found


@pytest.fixture(scope="module")
def both(reference: dict[Key, Json]) -> list[tuple[Key, Json, Json]]:
    """Reference and document side by side, for what is in both."""
    return [(key, reference[key], OPERATIONS[key]) for key in reference if key in OPERATIONS]


def test_the_document_has_the_references_operations_and_no_others(reference: dict[Key, Json]) -> None:
    missing = sorted(f"{method} {path}" for method, path in reference.keys() - OPERATIONS.keys())
    assert missing == [], "operations of the reference that are not built"
    assert OPERATIONS.keys() - reference.keys() <= BESIDES_THE_REFERENCE


def test_success_status_callers_and_queries_are_the_references(both: list[tuple[Key, Json, Json]]) -> None:
    for key, told, operation in both:
        assert success_of(operation)[0] == told["success_status"], key
        assert ("security" in operation) == (told["auth"] in ("user", "admin")), key
        queries = {p["name"] for p in operation.get("parameters", ()) if p.get("in") == "query"}
        assert set(told.get("query", {})) <= queries, key


def test_every_error_of_the_reference_is_its_operations(contract: Json, both: list[tuple[Key, Json, Json]]) -> None:
    for key, told, operation in both:
        found = codes_of(operation)
        assert set(told.get("errors", ())) <= set(found), key
        common = set(contract["common_errors"])
        if "security" not in operation:
            common -= {"TOKEN_INVALID", "TOKEN_EXPIRED"}
        if told["auth"] != "admin":
            common.discard("UNAUTHORIZED")
        if not ("security" in operation and key[0] in ("POST", "PUT") and takes_idempotency_key(key[1])):
            common.discard("IDEMPOTENCY_CONFLICT")
        assert common <= set(found), key


def test_errors_have_the_references_status(contract: Json) -> None:
    told = contract["error_status"] | contract["error_status_chosen_here"]
    assert {code.value: status for code, status in HTTP_STATUS.items()} == told


def test_every_field_of_the_references_examples_is_in_the_schemas(both: list[tuple[Key, Json, Json]]) -> None:
    unknown: list[str] = []
    for (method, path), told, operation in both:
        data = schema_of(success_of(operation)[1])["properties"]["data"]
        unknown += [f"{method} {path} answer{where}" for where in unlike(data, told["data"])]
        if "request" in told:
            body = schema_of(operation["requestBody"])
            unknown += [f"{method} {path} body{where}" for where in unlike(body, told["request"])]
    assert unknown == []


def test_our_examples_hold_the_references(both: list[tuple[Key, Json, Json]]) -> None:
    ours = {(m, shape(p)): example for (m, p), example in ((tuple(k.split(" ", 1)), v) for k, v in EXAMPLES.items())}
    for key, told, _ in both:
        if "note" in told or "response" not in told or "success" not in told["response"]:
            continue  # extensions say the fields' names only
        assert within(told["data"], ours[key]["response"]["data"]), key
        assert "request" not in told or told["request"] == ours[key]["request"], key


def within(theirs: Any, ours: Any) -> bool:
    """Whether ours has all of theirs, value for value."""
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and all(k in ours and within(v, ours[k]) for k, v in theirs.items())
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(theirs) == len(ours) and all(map(within, theirs, ours))
    return bool(theirs == ours) and isinstance(theirs, bool) == isinstance(ours, bool)


def unlike(schema: Json, value: Any, where: str = "") -> Iterator[str]:
    """Where a value has a field that no alternative of the schema names, or one of another JSON type."""
    alternatives = list(_alternatives(schema))
    if isinstance(value, dict) and any("properties" in a for a in alternatives):
        named = {name: s for a in alternatives for name, s in a.get("properties", {}).items()}
        for name, inner in value.items():
            if name in named:
                yield from unlike(named[name], inner, f"{where}.{name}")
            elif not any(isinstance(a.get("additionalProperties"), dict) for a in alternatives):
                yield f"{where}.{name}"
    elif isinstance(value, list) and any("items" in a for a in alternatives):
        items = next(a["items"] for a in alternatives if "items" in a)
        for inner in value:
            yield from unlike(items, inner, f"{where}[]")
    elif not any(_takes(a, value) for a in alternatives):
        yield f"{where}: {value!r}"


def _alternatives(schema: Json) -> Iterator[Json]:
    if "$ref" in schema:
        yield from _alternatives(DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]])
    elif "anyOf" in schema:
        for alternative in schema["anyOf"]:
            yield from _alternatives(alternative)
    else:
        yield schema


def _takes(schema: Json, value: object) -> bool:
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "number": (int, float),
        "integer": int,
        "boolean": bool,
        "null": type(None),
        "object": dict,
        "array": list,
    }
    kind = schema.get("type")
    return kind is None or (isinstance(value, kinds[kind]) and isinstance(value, bool) == (kind == "boolean"))
