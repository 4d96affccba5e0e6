"""The API document: the running gateway's is the one that is checked in."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from nija_common.testing.platforms import Embedded

CHECKED_IN = Path(__file__).parents[2] / "docs/openapi.json"


def test_the_running_platform_serves_the_document_that_is_checked_in(platform: Embedded) -> None:
    served = httpx.get(f"{platform.url}/openapi.json").json()
    kept = json.loads(CHECKED_IN.read_text("utf-8"))
    assert served.pop("servers") and kept.pop("servers")
    assert served == kept


def test_the_page_of_the_document_is_served(platform: Embedded) -> None:
    answer = httpx.get(f"{platform.url}/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
