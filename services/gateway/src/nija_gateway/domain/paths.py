"""Which request targets are taken at all. What could mean one path here and another in a service is refused."""

from __future__ import annotations

import re

from nija_common.errors import ErrorCode, NijaError

_SANE = re.compile(rb"/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*")
_PERCENT = re.compile(rb"%(.{0,2})", re.DOTALL)
_HEX = re.compile(rb"[0-9A-Fa-f]{2}")
MAX_TARGET_BYTES = 8 * 1024


def path_of(raw_path: bytes, query: bytes) -> str:
    """The decoded path. Raises VALIDATION_ERROR.

    Refused: characters RFC 3986 does not allow in a path, broken percent signs, escapes that stand for a
    slash, a backslash, a dot or a control character, segments `.` and `..`, bytes that are no UTF-8.
    """
    if len(raw_path) + len(query) > MAX_TARGET_BYTES:
        raise _refused("The address of the request is too long.")
    if not _SANE.fullmatch(raw_path):
        raise _refused("The path holds a character that does not belong in one.")
    if b"%" in raw_path:
        for escape in _PERCENT.findall(raw_path):
            if not _HEX.fullmatch(escape):
                raise _refused("The path holds a broken percent sign.")
            code = int(escape, 16)
            if code < 0x20 or code == 0x7F or code in b"/\\.":
                raise _refused("The path holds an escaped slash, dot or control character.")
        raw_path = _PERCENT.sub(lambda found: bytes([int(found.group(1), 16)]), raw_path)
    if b"/." in raw_path and any(part in (b".", b"..") for part in raw_path.split(b"/")):
        raise _refused("The path holds a segment that points elsewhere.")
    try:
        return raw_path.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused("The path is not UTF-8.") from None


def _refused(message: str) -> NijaError:
    return NijaError(ErrorCode.VALIDATION_ERROR, message, {"path": message})
