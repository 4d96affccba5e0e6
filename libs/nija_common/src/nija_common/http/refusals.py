"""The errors of an operation, as its route declares them: they go into the API document.

    @router.post("/api/v1/trading/stop", responses=refusals(ErrorCode.NOT_RUNNING))

What any operation may answer (a token that is not valid, a limit reached, …) is added where the document is put
together and is not named here. Nothing here decides anything about a request.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from nija_common.errors import HTTP_STATUS, ErrorCode


class ErrorDetail(BaseModel):
    """What went wrong: a code for machines, a sentence for people, and details such as one entry a field."""

    model_config = ConfigDict(frozen=True)
    code: ErrorCode
    message: str
    details: dict[str, Any]


class ErrorEnvelope(BaseModel):
    """Every error's body."""

    model_config = ConfigDict(frozen=True)
    success: Literal[False]
    error: ErrorDetail
    timestamp: str


def refusals(*codes: ErrorCode) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route for these codes, by status."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        entry = by_status.setdefault(HTTP_STATUS[code], {"x-error-codes": []})
        entry["x-error-codes"].append(code.value)
    for entry in by_status.values():
        entry["description"] = ", ".join(entry["x-error-codes"])
    return by_status
