"""What OpenAI-like upstreams need done, by name; provider rows refer to it (TRANSLATION §6, §10, §21)."""

from __future__ import annotations

REPLY_QUIRKS = (
    "content_list",  # content as a list of parts: Mistral's reasoning models
    "missing_message",  # a choice without `message`: Azure's content filter
    "object_arguments",  # tool arguments as an object: Ollama
    "missing_tool_id",  # tool calls without id: Ollama, Gemini's compatible surface
    "error_in_200",  # an error object in a 200: OpenRouter
    "finish_words",  # finish_reason "eos" (Together), "", null or `stop` beside tool calls
    "usage_excludes_reasoning",  # completion_tokens without reasoning, total with: xAI, Gemini's compatible surface
    "cache_hit_usage",  # prompt_cache_hit_tokens: DeepSeek
    "missing_id",  # no completion id
)
REQUEST_QUIRKS = (
    "forbids_unknown",  # 422 on unknown fields, `random_seed`, `any`, max_tokens, 9-character ids: Mistral
    "no_names",  # 400 on messages[].name, logprobs, logit_bias: Groq
    "replays_reasoning_content",  # takes `reasoning_content` back in assistant messages
    "replays_reasoning",  # takes `reasoning` back in assistant messages
    "replays_reasoning_details",  # takes `reasoning_details` back: OpenRouter
    "takes_top_k",  # knows `top_k`: vLLM, OpenRouter, llama.cpp, Together
    "takes_cache_control",  # knows `cache_control` on parts: OpenRouter
    "max_tokens",  # knows `max_tokens` only, whatever the model is called
)
QUIRKS = REPLY_QUIRKS + REQUEST_QUIRKS
