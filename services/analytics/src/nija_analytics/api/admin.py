"""Routes of `/admin/*` that read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from nija_analytics.api import DepsDep
from nija_analytics.handlers import admin_reads
from nija_analytics.schemas_admin import (
    AuditLogsAnswer,
    MetricsAnswer,
    UserAnswer,
    UsersAnswer,
    log_entry,
    metrics_answer,
    user_answer,
    user_row,
)
from nija_common.errors import ErrorCode
from nija_common.events.identity import AccountStatus
from nija_common.http.dates import span_ms
from nija_common.http.identity import AdminDep
from nija_common.http.pagination import MAX_PER_PAGE, PageNumber, PerPage, pagination
from nija_common.http.refusals import refusals
from nija_common.values.tiers import Tier

router = APIRouter()

SearchText = Annotated[
    str | None, Query(max_length=254, description="A user's id, or the beginning of a word of the e-mail address")
]
Word = Annotated[str | None, Query(min_length=1, max_length=100)]
DateText = Annotated[str | None, Query(max_length=40, description="ISO 8601; UTC where no zone is given")]


@router.get("/api/v1/admin/users", responses=refusals(ErrorCode.UNAUTHORIZED))
async def users(
    deps: DepsDep,
    _: AdminDep,
    page: PageNumber = 1,
    per_page: PerPage = 50,
    search: SearchText = None,
    tier: Tier | None = None,
    status: AccountStatus | None = None,
) -> UsersAnswer:
    """All accounts, newest first, or those that a search finds."""
    asked = admin_reads.People(search, tier, status, (page - 1) * per_page, per_page)
    people, total = await admin_reads.people(deps, asked)
    return UsersAnswer(users=[user_row(person) for person in people], pagination=pagination(page, per_page, total))


@router.get("/api/v1/admin/users/{user_id}", responses=refusals(ErrorCode.UNAUTHORIZED, ErrorCode.NOT_FOUND))
async def user(deps: DepsDep, _: AdminDep, user_id: str) -> UserAnswer:
    """One account in full."""
    return user_answer(await admin_reads.person(deps, user_id))


@router.get("/api/v1/admin/metrics", responses=refusals(ErrorCode.UNAUTHORIZED))
async def metrics(deps: DepsDep, _: AdminDep) -> MetricsAnswer:
    """The platform's figures."""
    return metrics_answer(await admin_reads.metrics(deps))


@router.get("/api/v1/admin/audit-logs", response_model_exclude_unset=True, responses=refusals(ErrorCode.UNAUTHORIZED))
async def audit_logs(
    deps: DepsDep,
    _: AdminDep,
    page: PageNumber = 1,
    per_page: PerPage = MAX_PER_PAGE,
    event_type: Word = None,
    user_id: Word = None,
    start_date: DateText = None,
    end_date: DateText = None,
) -> AuditLogsAnswer:
    """The audit log, newest first."""
    start_ms, end_ms = span_ms(start_date, end_date)
    asked = admin_reads.Rows(user_id, event_type, start_ms, end_ms, (page - 1) * per_page, per_page)
    rows, total = await admin_reads.audit_rows(deps, asked)
    return AuditLogsAnswer(logs=[log_entry(row) for row in rows], pagination=pagination(page, per_page, total))
