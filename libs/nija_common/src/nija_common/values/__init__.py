"""Plain values that every service speaks of: ids, money, time, shards, tiers, stored documents. No I/O."""
