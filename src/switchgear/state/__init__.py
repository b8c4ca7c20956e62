"""Counters that workers share: one small protocol (`store`), in memory or in Redis."""
