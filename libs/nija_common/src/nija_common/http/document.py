"""The OpenAPI 3.1 document of one service, as FastAPI writes it and as the platform answers.

FastAPI knows bodies, parameters and the data of an answer. What it does not know is added here: the envelope, the
errors that any operation may answer, who may call, the headers. The gateway puts the services' documents together.
An operation's own errors, those that its route declares, are also in its `x-error-codes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from nija_common.errors import HTTP_STATUS, ErrorCode
from nija_common.http.identity import admin, caller
from nija_common.http.refusals import ErrorEnvelope

Json = dict[str, Any]

API = "/api/v1/"
BEARER = "bearer"
ANY = (
    ErrorCode.VALIDATION_ERROR,
    ErrorCode.PAYLOAD_TOO_LARGE,
    ErrorCode.RATE_LIMIT_EXCEEDED,
    ErrorCode.INTERNAL_ERROR,
    ErrorCode.DATABASE_ERROR,
    ErrorCode.SERVICE_UNAVAILABLE,
)
"""Any operation may answer these."""
SIGNED_IN = (
    ErrorCode.TOKEN_INVALID,
    ErrorCode.TOKEN_EXPIRED,
    ErrorCode.ACCOUNT_SUSPENDED,
    ErrorCode.ACCOUNT_DISABLED,
)
"""Any operation with a token may answer these besides."""
LIMIT_HEADERS = {
    "X-RateLimit-Limit": "RateLimit",
    "X-RateLimit-Remaining": "RateLimitRemaining",
    "X-RateLimit-Reset": "RateLimitReset",
}
"""On every answer to a caller who is known; the names in `components.headers` of the whole document."""
REFERENCE = "#/components/schemas/"
_UNUSED = ("HTTPValidationError", "ValidationError")


class DocumentedAs:
    """For a body that its handler reads freely: in the document it is this model, at run time what the annotation says.

    body: Annotated[dict[str, Any], Body(), DocumentedAs(SettingsChange)]
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler(source)

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._model.__pydantic_core_schema__)


def raw_body(model: type[BaseModel]) -> Json:
    """`openapi_extra` of a route that reads the body's bytes itself; the model refers to no other."""
    content = {"application/json": {"schema": model.model_json_schema(ref_template=f"{REFERENCE}{{model}}")}}
    return {"requestBody": {"required": True, "content": content}}


def service_document(service: str, app: FastAPI, routers: Sequence[APIRouter]) -> Json:
    """The document of a service's own operations; schemas are named as their models are."""
    document: Json = get_openapi(title=f"NIJA {service}", version="2.0", openapi_version="3.1.0", routes=app.routes)
    schemas: Json = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _UNUSED:
        schemas.pop(name, None)
    schemas.update(_error_schemas())
    for route in operations(routers):
        for method in route.methods or ():
            _finish(document["paths"][route.path_format][method.lower()], route, method)
    return document


def operations(routers: Sequence[APIRouter]) -> Iterator[APIRoute]:
    """Everything that these routers serve and that is meant to be seen, one entry a path and its methods."""
    for router in routers:
        yield from (route for route in router.routes if isinstance(route, APIRoute) and route.include_in_schema)


def _finish(operation: Json, route: APIRoute, method: str) -> None:
    calls = set(_calls(route.dependant))
    signed_in = caller in calls
    operation["operationId"] = operation_id(method, route.path_format)
    operation["tags"] = [_tag(route.path_format)]
    if signed_in:
        operation["security"] = [{BEARER: []}]
    if method in ("POST", "PUT") and takes_idempotency_key(route.path_format):
        operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
    own = _own_codes(route)
    if own:
        operation["x-error-codes"] = [code.value for code in own]
    codes = _codes(own, route, method, signed_in=signed_in, admins_only=admin in calls)
    operation["responses"] = _responses(operation["responses"], route, codes, signed_in=signed_in)


def operation_id(method: str, path: str) -> str:
    """`get_account_balance`: the method and the words of the path, parameters left out."""
    words = [word for word in path.removeprefix(API).split("/") if word and not word.startswith("{")]
    name = re.sub(r"[^a-z0-9]+", "_", "_".join(words).lower()).strip("_")
    by = "_by_id" if path.endswith("}") else ""
    return f"{method.lower()}_{name}{by}"


def takes_idempotency_key(path: str) -> bool:
    """Sign-in and webhooks have means of their own; everything else that writes takes the key."""
    return path.startswith(API) and not path.startswith((f"{API}auth/", f"{API}webhooks/"))


def _tag(path: str) -> str:
    return path.removeprefix(API).strip("/").split("/")[0] if path.startswith(API) else "platform"


def _calls(dependant: Dependant) -> Iterator[Any]:
    for part in dependant.dependencies:
        yield part.call
        yield from _calls(part)


def _own_codes(route: APIRoute) -> list[ErrorCode]:
    """What the route declares."""
    return [ErrorCode(code) for entry in route.responses.values() for code in entry.get("x-error-codes", ())]


def _codes(
    own: list[ErrorCode], route: APIRoute, method: str, *, signed_in: bool, admins_only: bool
) -> list[ErrorCode]:
    codes = [*own, *ANY]
    if signed_in:
        codes += SIGNED_IN
    if admins_only:
        codes.append(ErrorCode.UNAUTHORIZED)
    if method in ("POST", "PUT") and takes_idempotency_key(route.path_format):
        codes.append(ErrorCode.IDEMPOTENCY_CONFLICT)
    return list(dict.fromkeys(codes))


def _responses(written: Json, route: APIRoute, codes: list[ErrorCode], *, signed_in: bool) -> Json:
    """Success first, then errors by status."""
    success = str(route.status_code or 200)
    answers = {success: _success(written[success], route.path_format, signed_in=signed_in)}
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(HTTP_STATUS[code], []).append(code.value)
    for status in sorted(by_status):
        answers[str(status)] = _refusal(by_status[status], status)
    return answers


def _success(answer: Json, path: str, *, signed_in: bool) -> Json:
    """The answer in its envelope; paths outside the API answer as they are."""
    headers = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
    if signed_in:
        headers |= {name: {"$ref": f"#/components/headers/{reference}"} for name, reference in LIMIT_HEADERS.items()}
    if not path.startswith(API) or "application/json" not in answer.get("content", {}):
        return {**answer, "headers": headers}
    data = answer["content"]["application/json"].get("schema", {})
    schema = {
        "type": "object",
        "required": ["success", "data", "timestamp"],
        "properties": {
            "success": {"const": True},
            "data": data,
            "timestamp": {"type": "string", "format": "date-time"},
        },
        "additionalProperties": False,
    }
    return {
        "description": answer["description"],
        "headers": headers,
        "content": {"application/json": {"schema": schema}},
    }


def _refusal(codes: list[str], status: int) -> Json:
    headers = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
    if status in (429, 503):
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    schema = {
        "allOf": [
            {"$ref": f"{REFERENCE}ErrorEnvelope"},
            {"properties": {"error": {"properties": {"code": {"enum": codes}}}}},
        ]
    }
    return {"description": ", ".join(codes), "headers": headers, "content": {"application/json": {"schema": schema}}}


def _error_schemas() -> Json:
    schema = ErrorEnvelope.model_json_schema(ref_template=f"{REFERENCE}{{model}}")
    inner: Json = schema.pop("$defs")
    return {"ErrorEnvelope": schema, **inner}
