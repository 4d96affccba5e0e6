"""The route that export links point to. It takes no token: the link's signature is what opens the file."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from nija_analytics.api import DepsDep
from nija_analytics.handlers import exports
from nija_common.errors import ErrorCode
from nija_common.http.refusals import refusals

router = APIRouter()

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


@router.get(
    "/exports/{name}",
    responses=refusals(ErrorCode.UNAUTHORIZED, ErrorCode.NOT_FOUND),
    response_class=StreamingResponse,
)
async def download(
    deps: DepsDep, name: str, expires: str | None = None, signature: str | None = None
) -> StreamingResponse:
    """An export's file, in pieces."""
    export, pieces = await exports.find(deps, name, expires, signature)
    return StreamingResponse(
        pieces,
        media_type=MEDIA_TYPES[export.format],
        headers={
            "Content-Length": str(export.size_bytes),
            "Content-Disposition": f'attachment; filename="{export.id}"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )
