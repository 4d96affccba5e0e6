"""Body and answer of `POST /analytics/export`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, StrictBool

from nija_analytics.domain.exports import DataType, Format, Wanted
from nija_analytics.handlers.exports import Made
from nija_common.errors import ErrorCode, NijaError
from nija_common.http.dates import span_ms
from nija_common.values.times import iso


class ExportBody(BaseModel):
    """What the file is to hold. Dates as in `/account/history`: trades and positions by the time of their opening,
    `performance` by UTC day. An end date without a time includes that day."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    data_type: DataType
    format: Format = "csv"
    start_date: str | None = None
    end_date: str | None = None
    include_closed_positions: StrictBool = True
    include_open_positions: StrictBool = True


class ExportAnswer(BaseModel):
    """Where the file is, until when, and its exact size."""

    model_config = ConfigDict(frozen=True)
    download_url: str
    expires_at: str
    file_size_bytes: int


def wanted_of(body: ExportBody) -> Wanted:
    """Raises VALIDATION_ERROR for a date that is none, a span that ends before it begins, and for nothing to export."""
    from_ms, to_ms = span_ms(body.start_date, body.end_date)
    if body.data_type != "performance" and not (body.include_closed_positions or body.include_open_positions):
        raise NijaError(
            ErrorCode.VALIDATION_ERROR,
            "There is nothing to export: include closed or open positions.",
            {"include_closed_positions": "false, and include_open_positions as well"},
        )
    return Wanted(
        data_type=body.data_type,
        format=body.format,
        from_ms=from_ms,
        to_ms=to_ms,
        include_closed=body.include_closed_positions,
        include_open=body.include_open_positions,
    )


def export_answer(made: Made) -> ExportAnswer:
    """The answer of a file that is whole."""
    return ExportAnswer(download_url=made.url, expires_at=iso(made.expires_at_ms), file_size_bytes=made.size_bytes)
