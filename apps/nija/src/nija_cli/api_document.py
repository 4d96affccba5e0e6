"""The API document without a running platform: what the gateway serves at `/openapi.json`, from the manifests alone."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from nija_cli.services import SERVICES
from nija_common.http.document import service_document
from nija_common.runtime.manifest import Service
from nija_gateway.domain.api_document import put_together
from nija_gateway.domain.examples import with_examples
from nija_gateway.domain.routes import ROUTES
from nija_gateway.wiring import examples

SERVER_URL = "http://127.0.0.1:8000"


def api_document() -> dict[str, Any]:
    """The whole document; a test compares it with the one of a running platform."""
    routes = [route for route in ROUTES if route.method != "SOCKET"]
    wanted = {route.service for route in routes}
    documents = {service.name: _of(service) for service in SERVICES if service.name in wanted}
    return with_examples(put_together(documents, routes, SERVER_URL), examples())


def _of(service: Service) -> dict[str, Any]:
    app = FastAPI()
    routers = [router for role in service.roles.values() for router in role.routers]
    for router in routers:
        app.include_router(router)
    return service_document(service.name, app, routers)
