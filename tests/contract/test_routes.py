"""The gateway's table and the services' manifests name the same operations, in both directions.

The gateway imports no service, so nothing but this test keeps the two together.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from nija_common.runtime.manifest import Service
from nija_common.storage.remembered import IdempotentRequest
from nija_gateway.domain.routes import API, ROUTES, SOCKET_PATH, LimitClass, Route, Who, is_admin_path

PACKAGES = {
    "auth": "nija_auth",
    "accounts": "nija_accounts",
    "analytics": "nija_analytics",
    "billing": "nija_billing",
    "trading-engine": "nija_trading",
    "notifier": "nija_notifier",
}

UNDOCUMENTED = (SOCKET_PATH, "/.well-known/jwks.json", "/exports/{name}")
"""Not among the reference's operations: it has the socket in words, and of a download only its link."""

NO_REQUESTS = tuple(f"nija_trading.handlers.{name}" for name in ("balances", "execution", "memory"))
"""Handlers that the trading worker runs; no request, and so no idempotency key, leads to them."""

Operation = tuple[str, str, str]


def manifest(name: str) -> Service:
    service = importlib.import_module(f"{PACKAGES[name]}.service").SERVICE
    assert isinstance(service, Service)
    return service


def shape(path: str) -> str:
    """The path with its parameters' names left out: they are the service's own matter."""
    return re.sub(r"{[^}]+}", "{}", path)


def served(name: str) -> Iterator[Operation]:
    service = manifest(name)
    for role in service.roles.values():
        for router in role.routers:
            for route in router.routes:
                assert isinstance(route, APIRoute), f"{name}: {route} is no plain operation"
                for method in route.methods or ():
                    yield service.name, method, shape(route.path)


def handlers_of(name: str) -> Iterator[ModuleType]:
    package = importlib.import_module(f"{PACKAGES[name]}.handlers")
    for found in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"{package.__name__}.{found.name}")


def in_table(name: str) -> set[Operation]:
    return {(r.service, r.method, shape(r.path)) for r in ROUTES if r.service == name and r.method != "SOCKET"}


@pytest.mark.parametrize("name", PACKAGES)
def test_what_a_service_serves_is_in_the_table_and_the_other_way_round(name: str) -> None:
    assert set(served(name)) == in_table(name)


@pytest.mark.parametrize("name", PACKAGES)
def test_routes_and_what_they_depend_on_run_on_the_event_loop(name: str) -> None:
    """FastAPI gives each plain function a thread of its own for each request, which costs more than most routes."""
    for role in manifest(name).roles.values():
        for router in role.routers:
            for route in router.routes:
                assert isinstance(route, APIRoute)
                plain = [call for call in _calls(route.dependant) if not inspect.iscoroutinefunction(call)]
                assert not plain, f"{route.path}: {plain}"


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for part in dependant.dependencies:
        yield from _calls(part)


def test_the_socket_goes_to_a_service_that_takes_sockets() -> None:
    (route,) = [route for route in ROUTES if route.method == "SOCKET"]
    assert route.path == SOCKET_PATH
    assert any(role.asgi is not None for role in manifest(route.service).roles.values())


def test_no_operation_is_there_twice() -> None:
    operations = [(route.method, shape(route.path)) for route in ROUTES]
    assert len(operations) == len(set(operations))


@pytest.mark.parametrize("name", PACKAGES)
def test_a_service_whose_routes_take_idempotency_keys_keeps_their_rows(name: str) -> None:
    takes = any(
        method in ("POST", "PUT") and not path.startswith((f"{API}/auth/", f"{API}/webhooks/"))
        for _, method, path in served(name)
    )
    assert (IdempotentRequest in manifest(name).collections) == takes


@pytest.mark.parametrize("name", PACKAGES)
def test_what_the_units_of_work_of_a_service_answer_can_be_kept(name: str) -> None:
    """An idempotent request is answered from what its handler said: its annotation must say what that is."""
    for module in handlers_of(name):
        if module.__name__ in NO_REQUESTS:
            continue
        for function in vars(module).values():
            if inspect.iscoroutinefunction(function) and "uow" in inspect.signature(function).parameters:
                TypeAdapter(typing.get_type_hints(function)["return"])


def test_administrators_routes_are_those_below_admin() -> None:
    for route in ROUTES:
        assert (route.who is Who.ADMIN) == is_admin_path(route.path), route


def test_only_calls_of_users_are_counted_by_user() -> None:
    for route in ROUTES:
        by_user = route.limit in (LimitClass.USER, LimitClass.STOP)
        assert by_user == (route.who in (Who.USER, Who.ADMIN)), route


def documented(shared_folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    contract = orjson.loads((shared_folder / "contract" / "operations.json").read_bytes())
    return {
        (o["method"], shape(o["path"] if o["path"].startswith("/.") else API + o["path"])): o
        for o in contract["operations"] + contract["extensions"]
    }


def test_who_may_call_is_what_the_reference_says(shared_folder: Path) -> None:
    reference = documented(shared_folder)
    for route in ROUTES:
        operation = reference.get((route.method, shape(route.path)))
        if operation is None:
            assert route.path in UNDOCUMENTED, f"{route} is in no reference"
            continue
        assert operation["auth"] in who(route), route


def who(route: Route) -> tuple[str, ...]:
    return {
        Who.OPEN: ("none",),
        Who.USER: ("user",),
        Who.ADMIN: ("admin",),
        Who.WEBHOOK: ("webhook key in the body", "Stripe-Signature header"),
    }[route.who]
