"""What an e-mail address is, and how two are compared."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from nija_common.errors import ErrorCode, NijaError

LONGEST = 254


def checked(text: str) -> str:
    """The address in its normal form. Raises INVALID_EMAIL. No DNS is asked; reserved names (`.example`) are allowed,
    because self-hosted platforms have such hosts."""
    try:
        found = validate_email(text, check_deliverability=False, test_environment=True, allow_smtputf8=True)
    except EmailNotValidError as error:
        raise NijaError(ErrorCode.INVALID_EMAIL, f"This is no e-mail address. {error}", {"field": "email"}) from None
    if len(found.normalized) > LONGEST:
        raise NijaError(ErrorCode.INVALID_EMAIL, "This e-mail address is too long.", {"field": "email"})
    return found.normalized


def key_of(text: str) -> str:
    """The form in which addresses are compared, whatever form of Unicode or of its domain was typed; works for anything."""
    try:
        return checked(text.strip()).casefold()
    except NijaError:
        return text.strip().casefold()
