"""What tests of every package share: a running platform, its clock, its servers. For tests only."""

from __future__ import annotations

from nija_common.testing.running import TestPlatform, start_platform

__all__ = ["TestPlatform", "start_platform"]
