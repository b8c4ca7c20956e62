"""Switchgear: an OpenAI-compatible LLM gateway whose per-request path is compiled."""

__version__ = "0.1.0"
