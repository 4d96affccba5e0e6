"""Makes the FastAPI app of a service: envelope, error handlers, request context, strict bodies.

Routes return the data alone (a pydantic model); the envelope is added here. Domain errors are never caught
in a route: the handlers here turn them into answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from nija_common.errors import ErrorCode, NijaError
from nija_common.http.document import service_document
from nija_common.http.envelope import error_response, success_body
from nija_common.http.idempotency import Idempotency, IdempotencyMiddleware
from nija_common.http.local import DOCUMENT_PATH
from nija_common.http.request_context import RequestContextMiddleware
from nija_common.security.tokens import TokenVerifier
from nija_common.values.clock import Clock

log = structlog.get_logger(__name__)


def create_app(
    *,
    service: str,
    routers: Sequence[APIRouter],
    deps: Any,
    tokens: TokenVerifier,
    clock: Clock,
    idempotency: Idempotency | None = None,
) -> FastAPI:
    """The app. `deps` is the service's own frozen dataclass; routes get it through `request.app.state.deps`.

    Without `idempotency` the header `Idempotency-Key` is ignored: for services that have no route it would count for.
    """

    class Envelope(JSONResponse):
        def render(self, content: Any) -> bytes:
            return success_body(content, clock.now_ms())

    app = FastAPI(
        title=f"NIJA {service}",
        docs_url=None,
        redoc_url=None,
        openapi_url=DOCUMENT_PATH,
        default_response_class=Envelope,
        redirect_slashes=False,
        # The request's span is opened in `request_context.py`; FastAPI's own four beside it cost more than the route.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.deps = deps
    app.state.tokens = tokens
    for router in routers:
        app.include_router(router)
    app.openapi = lambda: service_document(service, app, routers)  # type: ignore[method-assign]
    _add_error_handlers(app, clock)
    if idempotency is not None:
        app.add_middleware(IdempotencyMiddleware, idempotency=idempotency, tokens=tokens)
    app.add_middleware(RequestContextMiddleware, service=service)
    return app


def _add_error_handlers(app: FastAPI, clock: Clock) -> None:
    async def nija_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, NijaError)
        if error.status >= 500:
            log.error("request_failed", code=error.code.value, cause=repr(error.__cause__))
        return error_response(error, clock)

    async def not_valid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return error_response(validation_error(error.errors()), clock)

    async def http_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return error_response(_of_status(error), clock, _allow(error.headers))

    async def unknown(_: Request, error: Exception) -> Response:
        log.error("unexpected_error", exc_info=error)
        return error_response(
            NijaError(ErrorCode.INTERNAL_ERROR, "Something went wrong on our side. Try again."), clock
        )

    app.add_exception_handler(NijaError, nija_error)
    app.add_exception_handler(RequestValidationError, not_valid)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, unknown)


def validation_error(errors: Sequence[Mapping[str, Any]]) -> NijaError:
    """VALIDATION_ERROR with one entry a field in `details`; values that were sent are not repeated."""
    fields: dict[str, object] = {}
    for error in errors:
        kind, *path = error["loc"]
        if error["type"] == "json_invalid":
            return NijaError(ErrorCode.VALIDATION_ERROR, "The body is not valid JSON.", {"body": "not valid JSON"})
        name = ".".join(str(part) for part in path) or str(kind)
        fields[name] = "not a known field" if error["type"] == "extra_forbidden" else error["msg"]
    named = ", ".join(sorted(fields))
    return NijaError(ErrorCode.VALIDATION_ERROR, f"Not valid: {named}.", fields)


def _of_status(error: HTTPException) -> NijaError:
    if error.status_code == 405:
        return NijaError(ErrorCode.METHOD_NOT_ALLOWED, "This path does not take that method.")
    if error.status_code == 404:
        return NijaError(ErrorCode.NOT_FOUND, "There is nothing at this path.")
    return NijaError(ErrorCode.VALIDATION_ERROR, "The request cannot be read.")


def _allow(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {k: v for k, v in (headers or {}).items() if k.lower() == "allow"}
