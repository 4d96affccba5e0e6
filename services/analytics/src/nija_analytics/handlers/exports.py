"""Exports: noted, written page by page, then opened by their signed link for an hour, and deleted afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from nija_analytics.deps import Deps
from nija_analytics.domain.aggregates import Ledger, Mode
from nija_analytics.domain.export_rows import Lines, Row, day_row, position_row, trade_row
from nija_analytics.domain.exports import KEPT_MS, VALID_MS, Export, Wanted, days_of, file_name
from nija_analytics.domain.statistics import every_day
from nija_analytics.handlers import reading
from nija_analytics.handlers.reading import Days
from nija_common.errors import ErrorCode, NijaError
from nija_common.events.deliveries import AuditRecorded
from nija_common.storage.port import Range
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import new_id

MOST_ALIVE = 100
"""Exports of one user that have not expired; each takes room for over an hour."""
SWEPT_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class MakeExport:
    """Who wants what, and from where they ask."""

    user_id: str
    mode: Mode | None
    wanted: Wanted
    address: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """A file that is whole, and the link that opens it."""

    url: str
    expires_at_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Written:
    name: str
    size_bytes: int
    command: MakeExport


async def make(deps: Deps, command: MakeExport) -> Made:
    """Notes the export, writes its file, then commits what it has become: the writing is outside of any unit of work.

    Raises RATE_LIMIT_EXCEEDED for a user who has too many already.
    """
    noted = (await deps.work.claim(_note, deps, command)).decided
    # The same request may have been begun before a crash, and have left its file.
    await deps.blobs.delete(noted.id)
    ledger = await reading.ledger_name(deps, command.user_id, command.mode)
    size = await deps.blobs.write(noted.id, _content(deps, ledger, command.wanted))
    await deps.work.run(_finish, deps, _Written(noted.id, size, command))
    return Made(deps.links.of(noted.id, noted.expires_at_ms), noted.expires_at_ms, size)


async def find(
    deps: Deps, name: str, expires: str | None, signature: str | None
) -> tuple[Export, AsyncIterator[bytes]]:
    """The file behind a link. Raises UNAUTHORIZED for a link that is not ours or has expired, NOT_FOUND for a file
    that is gone."""
    if not deps.links.valid(name, expires or "", signature or "", deps.clock.now_ms()):
        raise NijaError(ErrorCode.UNAUTHORIZED, "This link is not valid or has expired. Make a new export.")
    export = await deps.exports.get(name)
    pieces = None if export is None or export.size_bytes is None else await deps.blobs.open(name)
    if export is None or pieces is None:
        raise NijaError(ErrorCode.NOT_FOUND, "There is no such export any more. Make a new one.")
    return export, pieces


async def sweep(deps: Deps) -> None:
    """Deletes the files of expired exports, then their notes: what fails in between is found again."""
    before_ms = deps.clock.now_ms() - (KEPT_MS - VALID_MS)
    while expired := await deps.exports.expired(before_ms, SWEPT_AT_ONCE):
        for export in expired:
            await deps.blobs.delete(export.id)
        await deps.work.run(_forget, deps, expired)


async def _note(deps: Deps, command: MakeExport, uow: UnitOfWork) -> Export:
    now_ms = deps.clock.now_ms()
    if await deps.exports.alive(command.user_id, now_ms) >= MOST_ALIVE:
        raise NijaError(
            ErrorCode.RATE_LIMIT_EXCEEDED,
            f"You have {MOST_ALIVE} exports that are still valid. Try again when some of them have expired.",
            retry_after=60,
        )
    export = Export(
        id=file_name(command.wanted, new_id("exp")),
        user_id=command.user_id,
        data_type=command.wanted.data_type,
        format=command.wanted.format,
        created_at_ms=now_ms,
        # A link holds seconds: the moment it says is the moment that counts.
        expires_at_ms=(now_ms + VALID_MS) // 1000 * 1000,
    )
    uow.save(export)
    return export


async def _finish(deps: Deps, written: _Written, uow: UnitOfWork) -> None:
    export = await deps.exports.get(written.name)
    if export is None:
        raise NijaError(ErrorCode.SERVICE_UNAVAILABLE, "The export took too long. Ask for a shorter time.")
    uow.save(export.model_copy(update={"size_bytes": written.size_bytes}))
    uow.emit(
        AuditRecorded(
            user_id=export.user_id,
            log_id=new_id("log"),
            event_type="data_exported",
            actor=export.user_id,
            ip_address=written.command.address,
            user_agent=written.command.user_agent,
            metadata={
                "export": export.id,
                "data_type": export.data_type,
                "format": export.format,
                "size_bytes": written.size_bytes,
            },
            at_ms=deps.clock.now_ms(),
        )
    )


async def _forget(deps: Deps, expired: tuple[Export, ...], uow: UnitOfWork) -> None:
    for export in expired:
        stored = await deps.exports.get(export.id)
        if stored is not None:
            uow.delete(stored)


async def _content(deps: Deps, ledger: str, wanted: Wanted) -> AsyncIterator[bytes]:
    lines = Lines(wanted.data_type, wanted.format)
    yield lines.head()
    async for rows in _rows(deps, ledger, wanted):
        yield lines.page(rows)
    yield lines.tail()


async def _rows(deps: Deps, ledger: str, wanted: Wanted) -> AsyncIterator[list[Row]]:
    chosen = {name for name, want in (("open", wanted.include_open), ("closed", wanted.include_closed)) if want}
    within = Range(wanted.from_ms, wanted.to_ms)
    if wanted.data_type == "trades":
        async for page in deps.rows.trades(ledger, within):
            yield [trade_row(trade) for trade in page if trade.status in chosen]
    elif wanted.data_type == "positions":
        async for held in deps.rows.positions(ledger, within):
            yield [position_row(position) for position in held if position.status in chosen]
    else:
        yield await _day_rows(deps, ledger, wanted)


async def _day_rows(deps: Deps, name: str, wanted: Wanted) -> list[Row]:
    first, end = days_of(wanted)

    async def read(ledger: Ledger) -> Days:
        return await reading.days_of(deps, ledger, first)

    _, days = await reading.at_one_moment(deps, name, read)
    if days is None:
        return []
    last = max([reading.today(deps), *(result.day for result in days.results)])
    rows: list[Row] = []
    equity = days.equity_before
    for result in every_day(days.results, days.first, last if end is None else min(last, end - 1)):
        equity += result.net + result.deposits
        rows.append(day_row(result, equity, name))
    return rows
