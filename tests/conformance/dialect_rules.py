"""The only ways in which a client may get something else than what is expected: rule by rule, with the reason.

`REASONS` has every rule. `not_expressible` says which rule a refusal falls under; it looks at the field that the
refusal names and at the recorded request, so that a refusal of anything else is a failure. `changed` gives the expected
view after the rule that applies. `expected_error` is what becomes of a recorded error (TRANSLATION §16), on its own:
nothing of `switchgear` is used.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.conformance.dialect_expected import objects
from tests.conformance.dialect_views import View

Row = dict[str, Any]

REASONS = {
    # refusals
    "server tool": "§3, §14.1, §15.1: a tool that the provider itself runs (search of tools or files, code, computer, "
    "MCP, advisor) exists at that provider only; dropping it would give another answer. `tools` is named.",
    "media by reference": "§2.2: an upload, or a document, a sound or an image of unknown type behind a URL, can be "
    "read by the provider that has it; the gateway fetches nothing. The part is named.",
    "container": "§14.1: a file in Anthropic's container. The message is named.",
    "many answers": "§1, §15.2: `n` above 1 where the dialect has one answer. `n` is named.",
    "background": "§15.1: a response that goes on in the background needs a store. `background` is named.",
    "audio answer": "§1: an answer in sound where the dialect has none. `modalities` is named.",
    "no messages": "§1: an empty list of messages, which the provider refused as well. `messages` is named.",
    # answers
    "bytes": "The client speaks the provider's format, and the bytes pass as they came: its own words for the end, "
    "its own counts, its own state of a response that is not done.",
    "no end": "§10: the provider ended its stream without a finish reason; its bytes pass to its own dialect.",
    "functions": "The old `functions` form: EXPECTED leaves `function_call` out; it is the client's `function_call`, "
    "and a tool call in the other dialects.",
    "reasoning counted": "§12: the provider counts reasoning beside the completion, the dialects count it within.",
    "more reasoning": "§12: the provider counts more reasoning than completion; Gemini's classes are apart, so what "
    "was answered beside the thoughts counts as none.",
    "more cached": "§12: the provider counts more cached tokens than the prompt had; Anthropic's classes are apart and "
    "never negative, so the prompt is the limit.",
    "error in a stream": "§7.10: the recorded stream ends in an error, told in each dialect's own words; EXPECTED "
    "has the text before it.",
}
_OLD_FUNCTIONS = ("openai/chat.completions/test-openai-functions-0", "openai/chat.completions/test-simple-lcel-0",
                  "openai/chat.completions/test-simple-lcel-1")  # fmt: skip
_NO_END = "openai/chat.completions/test-tools-streaming-variant-a-0"
_PART = re.compile(r"(messages|input|contents)\[\d+\]\.(content|parts)\[\d+\]$")
_MESSAGE = re.compile(r"messages\[\d+\]$")


def not_expressible(row: Row, client: str, field: str | None) -> str:
    """The rule that a refusal falls under, "" where it falls under none."""
    field = field or ""
    request = json.loads(row["request"]["body"])
    if field == "tools" and any(_server_tool(tool) for tool in request.get("tools") or ()):
        return "server tool"
    if _PART.match(field) and any(_reference(one) for one in objects(request)):
        return "media by reference"
    if _MESSAGE.match(field) and '"container_upload"' in row["request"]["body"]:
        return "container"
    if field == "n" and request.get("n", 1) > 1 and client in ("responses", "anthropic"):
        return "many answers"
    if field == "background" and request.get("background"):
        return "background"
    if field == "modalities" and "audio" in request.get("modalities", ()):
        return "audio answer"
    if field == "messages" and request.get("messages") == [] and row["status"] == 400:
        return "no messages"
    return ""


def _server_tool(tool: Any) -> bool:
    if "type" in tool:
        return tool["type"] not in ("function", "custom")
    return bool(set(tool) - {"functionDeclarations", "function_declarations", "name", "description", "input_schema"})


def _reference(one: Any) -> bool:
    """Whether an object of a request points to a file instead of holding it."""
    for name in ("file_id", "file_url", "fileUri", "url", "image_url", "document_url", "file_data"):
        value = one.get(name)
        if isinstance(value, str) and not value.startswith("data:") and value:
            return True
    return False


def changed(row: Row, client: str, want: View) -> tuple[View, str]:
    """(the expected view after the rule that applies, the rule's name or "")."""
    own = client == row["wire"]
    if row["view"].get("stream_error"):
        return _ended_in_error(row, client, want, own), "error in a stream"
    if row["id"] in _OLD_FUNCTIONS:
        return _with_functions(row, client, want), "functions"
    usage = want["usage"]
    if row["id"] == _NO_END and own:
        return _with_finish(want, None), "no end"
    if own and client == "gemini" and isinstance(row["view"]["choices"][0]["provider_finish"], int):
        return _with_finish(want, row["view"]["choices"][0]["provider_finish"]), "bytes"
    if own and client == "responses" and row["view"]["status"] not in ("completed", "incomplete"):
        return _with_finish(want, row["view"]["status"]), "bytes"
    if usage is None or (own and row["wire"] != "chat"):
        return want, ""
    given, made, total, cached, thought = usage
    told = row["view"]["usage"]["total_tokens"]
    if told > given + made and (not own or _repaired(row)):
        made = told - given
        return want | {"usage": (given, made, given + made if client == "anthropic" else total, cached, thought)}, (
            "reasoning counted"
        )
    if client == "anthropic" and cached > given:
        return want | {"usage": (given, made, total, given, thought)}, "more cached"
    if client == "gemini" and thought > made:
        return want | {"usage": (given, thought, total, cached, thought)}, "more reasoning"
    return want, ""


def _repaired(row: Row) -> bool:
    """Whether a provider's own chat format is put right: xAI's counts, in answers that were read whole."""
    return row["provider"] == "xai" and not row["stream"]


def _with_finish(want: View, finish: Any) -> View:
    return want | {"choices": [want["choices"][0] | {"finish": finish}, *want["choices"][1:]]}


def _with_functions(row: Row, client: str, want: View) -> View:
    message = json.loads(row["response"]["body"])["choices"][0]["message"]["function_call"]
    choice = want["choices"][0] | {"calls": [(message["name"], json.loads(message["arguments"]))]}
    if client == "chat":
        choice["finish"] = "function_call"
    return want | {"choices": [choice]}


def _ended_in_error(row: Row, client: str, want: View, own: bool) -> View:
    error = row["view"]["stream_error"]
    facts = {"message": error["message"], "type": error["type"], "code": error["code"]}
    if client == "anthropic":
        facts = {"message": error["message"], "type": "invalid_request_error"}
    elif client == "gemini":
        facts = {"message": error["message"], "code": error["status_code"], "status": "INVALID_ARGUMENT"}
    elif own:
        facts = error
    else:
        facts["param"] = None
    before = None
    if client == "chat":
        before = _with_finish(want, None) | {"usage": None}
    return {"error": facts, "before": before}


# errors in place of an answer ----------------------------------------------------------------------------------------

_DEFAULT_CODE = {403: "permission_denied", 404: "model_not_found", 429: "rate_limit_exceeded"}
_OPENAI_TYPE = {429: "rate_limit_error"}
_ANTHROPIC_TYPE = {403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_GOOGLE_STATUS = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
_TOO_LONG = re.compile("prompt is too long|maximum context length|input token count")
_CREDENTIAL = "credential"  # in place of the words, which are the gateway's own


def error_facts(client: str, error: View) -> View:
    """Message, type and code of a client's error object, in the dialect's own words."""
    message = _CREDENTIAL if "the gateway's credential" in error["message"] else error["message"]
    if client == "anthropic":
        return {"message": message, "type": error["type"], "code": (error.get("details") or {}).get("error_code")}
    if client == "gemini":
        reasons = [detail["reason"] for detail in error.get("details") or () if detail.get("domain") == "switchgear"]
        return {"message": message, "type": error["status"], "code": reasons[0] if reasons else None}
    return {"message": message, "type": error["type"], "code": error.get("code")}


def expected_error(row: Row, client: str) -> View:
    """What a client of a dialect is told of a recorded error (TRANSLATION §16.2)."""
    error = json.loads(row["response"]["body"])["error"]
    status, message = row["status"], error["message"]
    code = error.get("code") if not str(error.get("code") or "0").isdigit() else None
    bad_key = status == 401 or "API_KEY_INVALID" in row["response"]["body"]
    if bad_key:
        words = {"anthropic": "api_error", "gemini": "UNAVAILABLE"}.get(client, "server_error")
        code = "upstream_authentication_error"
        return {
            "status": 502,
            "message": _CREDENTIAL,
            "type": words,
            "code": code.upper() if client == "gemini" else code,
        }
    own = client == row["wire"] or {client, row["wire"]} == {"chat", "responses"}
    if own and client in ("anthropic", "gemini"):
        return {"status": status, "message": message, "type": error.get("type") or error["status"], "code": None}
    if own:
        kind = error.get("type") or _OPENAI_TYPE.get(status, "invalid_request_error")
        return {"status": status, "message": message, "type": kind, "code": code or _DEFAULT_CODE.get(status)}
    code = "context_length_exceeded" if _TOO_LONG.search(message) else code or _DEFAULT_CODE.get(status)
    if client == "gemini":
        return {
            "status": status,
            "message": message,
            "type": _GOOGLE_STATUS[status],
            "code": code.upper() if code else None,
        }
    if client == "anthropic":
        param = error.get("param")
        if param and param not in message:
            message = f"{param}: {message}"
        return {
            "status": status,
            "message": message,
            "type": _ANTHROPIC_TYPE.get(status, "invalid_request_error"),
            "code": code,
        }
    return {
        "status": status,
        "message": message,
        "type": _OPENAI_TYPE.get(status, "invalid_request_error"),
        "code": code,
    }
