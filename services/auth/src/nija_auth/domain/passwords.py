"""The password policy (NIST SP 800-63B): long enough, not easy to guess, no rules of composition.

12 to 128 characters, any Unicode; compared and hashed after NFKC normalisation, so that the same password typed
on another keyboard is the same; never truncated. What is easy to guess is decided by zxcvbn, which knows
common and breached passwords and is told e-mail and name.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from zxcvbn import feedback, matching, scoring, time_estimates

from nija_common.errors import ErrorCode, NijaError

LEAST, MOST = 12, 128
LEAST_SCORE = 3
GUESSED_CHARACTERS = 72
"""zxcvbn looks at this many: a password whose beginning is hard to guess is hard to guess."""
SUBSTRINGS_LOOKED_UP = 20_000
"""Substrings of all readings of a password (`4` for `a`, `$` for `s`) that are looked up: some 30 ms. Without a bound
72 characters chosen for it cost ten seconds."""


def normalised(password: str) -> str:
    """The form that is hashed."""
    return unicodedata.normalize("NFKC", password)


def check_length(password: str) -> None:
    """Raises WEAK_PASSWORD."""
    length = len(normalised(password))
    if not LEAST <= length <= MOST:
        raise weak(f"A password has {LEAST} to {MOST} characters; this one has {length}.")


def check_strength(password: str, email: str, full_name: str) -> None:
    """Raises WEAK_PASSWORD for what is common, breached-like or made of the e-mail or the name. Takes milliseconds.

    zxcvbn's parts, not its front: that one keeps `user_inputs` in a table that all threads share.
    """
    about = [part for part in re.split(r"[^\w]+", f"{email} {full_name}".lower()) if len(part) > 2]
    known = matching.build_ranked_dict([email.lower(), full_name.lower(), *about])
    guess = guessed_part(normalised(password))
    found = matching.omnimatch(guess, {**matching.RANKED_DICTIONARIES, "user_inputs": known})
    cheapest = scoring.most_guessable_match_sequence(guess, found)
    score = time_estimates.guesses_to_score(Decimal(cheapest["guesses"]))
    if score < LEAST_SCORE:
        hint = feedback.get_feedback(score, cheapest["sequence"])["warning"] or "It would be guessed too soon."
        raise weak(f"This password is too easy to guess. {hint} Use a few unrelated words.")


def guessed_part(password: str) -> str:
    """The longest beginning that zxcvbn judges in bounded time; all of it (up to 72), unless it is made of many
    different characters that stand for letters. Never less than 12 characters."""
    seen: set[str] = set()
    readings = 1
    for end, character in enumerate(password[:GUESSED_CHARACTERS], start=1):
        if character in _STAND_INS and character not in seen:
            seen.add(character)
            table = matching.relevant_l33t_subtable("".join(seen), matching.L33T_TABLE)
            readings = len(matching.enumerate_l33t_subs(table))
        if end > LEAST and readings * end * (end + 1) // 2 > SUBSTRINGS_LOOKED_UP:
            return password[: end - 1]
    return password[:GUESSED_CHARACTERS]


def weak(message: str) -> NijaError:
    return NijaError(ErrorCode.WEAK_PASSWORD, message, {"field": "password"})


_STAND_INS = frozenset(character for letter in matching.L33T_TABLE.values() for character in letter)
