"""WebSocket frames as a server sends them: unmasked, so the bytes of one serve every client (RFC 6455, section 5.2)."""

from __future__ import annotations

import struct

WHOLE_TEXT = 0x81
"""FIN, and the opcode of text."""
SHORTEST, SHORT = 125, 0xFFFF
TWO_BYTES, EIGHT_BYTES = 126, 127
"""What stands for the length where it follows in two or in eight bytes."""


def text_frame(text: bytes) -> bytes:
    """The whole frame of a text message; `text` is UTF-8."""
    size = len(text)
    if size <= SHORTEST:
        return bytes((WHOLE_TEXT, size)) + text
    if size <= SHORT:
        return struct.pack("!BBH", WHOLE_TEXT, TWO_BYTES, size) + text
    return struct.pack("!BBQ", WHOLE_TEXT, EIGHT_BYTES, size) + text


def text_in(frame: bytes) -> bytes:
    """The text of a frame that `text_frame` has made."""
    size = frame[1]
    return frame[2 if size <= SHORTEST else 4 if size == TWO_BYTES else 10 :]
