"""What analytics does on its own, in one process at a time."""

from __future__ import annotations

from nija_analytics.handlers import digests, exports
from nija_common.runtime.manifest import Loop

LOOPS = (
    Loop("send-digests", 15.0, digests.send),
    Loop("delete-exports", 60.0, exports.sweep),
)
