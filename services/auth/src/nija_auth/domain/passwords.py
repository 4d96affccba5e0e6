"""The password policy (NIST SP 800-63B): long enough, not easy to guess, no rules of composition.

12 to 128 characters, any Unicode; compared and hashed after NFKC normalisation, so that the same password typed
on another keyboard is the same; never truncated. What is easy to guess is decided by zxcvbn, which knows
common and breached passwords and is told e-mail and name.
"""

from __future__ import annotations

import re
import unicodedata

from zxcvbn import zxcvbn

from nija_common.errors import ErrorCode, NijaError

LEAST, MOST = 12, 128
LEAST_SCORE = 3
GUESSED_CHARACTERS = 72
"""zxcvbn looks at this many: a password whose beginning is hard to guess is hard to guess."""


def normalised(password: str) -> str:
    """The form that is hashed."""
    return unicodedata.normalize("NFKC", password)


def check_length(password: str) -> None:
    """Raises WEAK_PASSWORD."""
    length = len(normalised(password))
    if not LEAST <= length <= MOST:
        raise weak(f"A password has {LEAST} to {MOST} characters; this one has {length}.")


def check_strength(password: str, email: str, full_name: str) -> None:
    """Raises WEAK_PASSWORD for what is common, breached-like or made of the e-mail or the name. Takes milliseconds."""
    about = [part for part in re.split(r"[^\w]+", f"{email} {full_name}".lower()) if len(part) > 2]
    guess = normalised(password)[:GUESSED_CHARACTERS]
    result = zxcvbn(guess, user_inputs=[email, full_name, *about])
    if result["score"] < LEAST_SCORE:
        hint = result["feedback"]["warning"] or "It would be guessed too soon."
        raise weak(f"This password is too easy to guess. {hint} Use a few unrelated words.")


def weak(message: str) -> NijaError:
    return NijaError(ErrorCode.WEAK_PASSWORD, message, {"field": "password"})
