"""What an operator can change about sockets and mail. SMTP_URL, MAIL_DIR and PUBLIC_URL are the platform's."""

from __future__ import annotations

from pydantic import Field

from nija_common.runtime.settings import Block


class SocketSettings(Block):
    """How much a slow reader may cost."""

    flush_ms: int = Field(15, ge=1, le=50, description="Sockets: at most one write a connection in this time.")
    buffer_bytes: int = Field(
        262_144,
        ge=16_384,
        description="Sockets: answers and trades that may wait for one reader; beyond, it is closed.",
    )
    stall_seconds: float = Field(
        30.0, gt=0, description="Sockets: a reader that takes nothing for this long is closed (4408)."
    )


class NotifierSettings(Block):
    """The service's own block."""

    sockets: SocketSettings = SocketSettings()
    mail_from: str = Field("NIJA <no-reply@localhost>", description="Sender of the platform's mails.")
