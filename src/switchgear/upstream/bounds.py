"""A bound on the length of an answer, put into a request that has none (`RequestContext.bound`, `limits.fitting`).

Where bytes pass as they are the field is spliced in at the end of the body. Only a body that has such a field already,
with null or a negative number (llama.cpp's word for no bound), is written anew, member by member. A translation takes
the bound in the conversation (`translated.encode`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from switchgear.providers.model_traits import target_model
from switchgear.providers.reading import read_request

if TYPE_CHECKING:
    from switchgear.types import RequestContext

_NAMES = frozenset(("max_completion_tokens", "max_output_tokens", "max_tokens"))
_members = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode


def bounded(ctx: RequestContext, body: bytes, model: str, quirks: frozenset[str] = frozenset()) -> bytes:
    """A body of the client's own format with the bound of the request; as it is where there is none.

    model, quirks: of the target: they decide the field's name in chat.
    """
    if not ctx.bound:
        return body
    if ctx.endpoint.wire == "gemini":
        return _with_config(body, ctx.bound)
    if ctx.endpoint.dialect == "ollama":
        return _with_option(body, ctx.bound)
    if ctx.endpoint.wire == "responses":
        return _with(body, "max_output_tokens", ctx.bound)
    if ctx.endpoint.wire == "chat":
        return _with(body, target_model(model, quirks).max_tokens_field, ctx.bound)
    return _with(body, "max_tokens", ctx.bound)


def _with(body: bytes, name: str, tokens: int) -> bytes:
    members = _members.decode(body)
    if not _NAMES.isdisjoint(members):
        kept = {key: value for key, value in members.items() if key not in _NAMES}
        return _encode({**kept, name: tokens})
    end = body.rindex(b"}")
    return b'%b%b"%b":%d%b' % (body[:end], b"," if members else b"", name.encode(), tokens, body[end:])


def _with_option(body: bytes, tokens: int) -> bytes:
    """Ollama's bound is one of the `options`."""
    members = _members.decode(body)
    # Go reads names in any case, and the last one wins.
    members = {name: value for name, value in members.items() if name == "options" or name.casefold() != "options"}
    own = members.get("options")
    options = read_request(_members, own, "options") if own is not None and bytes(own).strip() != b"null" else {}
    options["num_predict"] = Raw(b"%d" % tokens)
    members["options"] = Raw(_encode(options))
    return _encode(members)


def _with_config(body: bytes, tokens: int) -> bytes:
    """Gemini's bound stands in `generationConfig`, which may be written in snake case."""
    members = _members.decode(body)
    name = "generation_config" if "generation_config" in members else "generationConfig"
    own = members.get(name)
    config = read_request(_members, own, name) if own is not None and bytes(own).strip() != b"null" else {}
    config.pop("max_output_tokens", None)
    config["maxOutputTokens"] = Raw(b"%d" % tokens)
    members[name] = Raw(_encode(config))
    return _encode(members)
