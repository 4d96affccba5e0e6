"""How a command ends when it cannot do what it was asked: one line on standard error, and a status.

Nothing else is imported here, so that commands that need no platform start at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

FAILED, WRONG_USAGE = 1, 2


class Failed(Exception):
    """What was asked for cannot be done; the text says why."""


class WrongUsage(Exception):
    """What was asked for makes no sense; the text says what would."""


def fail(reason: str, status: int = FAILED) -> NoReturn:
    """Ends the command with the reason on standard error."""
    print(f"nija: {reason}", file=sys.stderr)
    raise SystemExit(status)


@contextmanager
def told() -> Iterator[None]:
    """Ends the command with the right status where it raises Failed (1), WrongUsage (2) or an error of the disk (1)."""
    try:
        yield
    except Failed as error:
        fail(str(error))
    except WrongUsage as error:
        fail(str(error), WRONG_USAGE)
    except OSError as error:
        fail(f"{error.filename or 'the disk'}: {error.strerror or error}")
