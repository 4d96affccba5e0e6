"""Pages by number, as the API has them: `page`, `per_page`, and the pagination object of the answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from typing_extensions import TypedDict

MAX_PER_PAGE = 100

PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
PerPage = Annotated[int, Query(ge=1, le=MAX_PER_PAGE)]


class Pagination(TypedDict):
    """The pagination object of a list's answer."""

    page: int
    per_page: int
    total_items: int
    total_pages: int
    has_next: bool
    has_prev: bool


def pagination(page: int, per_page: int, total: int) -> Pagination:
    """Computes the object; a list without items has no page."""
    pages = -(-total // per_page)
    return Pagination(
        page=page,
        per_page=per_page,
        total_items=total,
        total_pages=pages,
        has_next=page < pages,
        has_prev=page > 1,
    )
