"""What goes wrong in MongoDB, in the words of the storage port: not reachable, failed, or to be tried again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from bson.errors import InvalidDocument
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from nija_common.cancellation import heeding_cancellation
from nija_common.errors import ErrorCode, NijaError, unavailable

DUPLICATE_KEY = 11000
WRITE_CONFLICT = 112

READ_S = 3.0
"""How long a read may take before the store counts as away."""


@contextmanager
def translated(timeout_s: float = READ_S) -> Iterator[None]:
    """Bounds everything inside and turns the driver's errors into ours; no text of them leaks values."""
    try:
        with heeding_cancellation(), pymongo.timeout(timeout_s):
            yield
    except (PyMongoError, InvalidDocument) as error:
        raise of(error) from error
    except RuntimeError as error:
        if not is_lost_lock(error):
            raise
        raise unavailable("The database cannot be reached. Try again.") from error


def of(error: PyMongoError | InvalidDocument) -> NijaError:
    """The error that a caller gets for one of the driver's."""
    if isinstance(error, ConnectionFailure | WTimeoutError) or (isinstance(error, PyMongoError) and error.timeout):
        return unavailable("The database cannot be reached. Try again.")
    return NijaError(ErrorCode.DATABASE_ERROR, f"The database could not do this ({type(error).__name__}).")


def is_lost_lock(error: RuntimeError) -> bool:
    """Whether the driver has lost its lock while it waited for a server: a race of its own (PyMongo's `_async_cond_wait`
    on Python 3.11), seen while no server can be reached. The operation has not been sent."""
    return str(error) == "cannot wait on un-acquired lock"


def is_duplicate(error: PyMongoError) -> bool:
    """Whether a unique value is taken."""
    return isinstance(error, DuplicateKeyError) or DUPLICATE_KEY in _codes(error)


def is_transient(error: PyMongoError) -> bool:
    """Whether the whole transaction may simply be run again: nothing of it has been applied.

    A duplicate key counts too: two upserts made the same row at once (documents are looked at before).
    """
    if error.has_error_label("TransientTransactionError") or is_duplicate(error):
        return True
    return WRITE_CONFLICT in _codes(error)


def _codes(error: PyMongoError) -> set[int]:
    if isinstance(error, BulkWriteError):
        details = error.details or {}
        return {int(each["code"]) for each in details.get("writeErrors", [])}
    return {error.code} if isinstance(error, OperationFailure) and error.code is not None else set()
