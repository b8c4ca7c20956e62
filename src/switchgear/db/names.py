"""The columns of the ledger's tables by name, in their order: what plain SQL needs to know of them."""

from __future__ import annotations

DIMENSIONS = (
    "endpoint",
    "organization",
    "project",
    "user",
    "key",
    "model",
    "served_model",
    "provider",
    "credential",
)
TOKEN_CLASSES = (
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "cached_audio_tokens",
    "output_audio_tokens",
    "images",
)
SUMS = ("requests", "errors", "estimated", *TOKEN_CLASSES, "cost_nanousd", "first_tokens", "timed")
SUMMED_MS = ("first_token_ms", "total_ms")
FLAGS = ("stream", "from_cache", "estimated", "unknown_price")

USAGE = (
    "request_id",
    "attempt",
    "time_us",
    *DIMENSIONS[1:],
    "endpoint",
    "status",
    "error_class",
    *FLAGS,
    *TOKEN_CLASSES,
    "service_tier",
    "cost_nanousd",
    "price_version",
    *SUMMED_MS,
    "tags",
    "journal",
    "position",
)
"""Of the table `usage`; a row of `hotpath._journal.decode` has them in this order."""
