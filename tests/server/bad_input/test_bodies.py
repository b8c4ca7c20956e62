"""Bodies that are no request: an envelope with the right status, and nothing for the provider."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.server.bad_input.raw import CHAT, FILE, FORM, JSON, MODEL, PART, error, exchange, head, post
from tests.support.processes import GatewayProcess, SimulatorProcess

BODIES: dict[str, tuple[bytes, int, str | None, str | None]] = {
    # what, body, status, code, param
    "empty": (b"", 400, None, None),
    "blank": (b"  \n", 400, None, None),
    "not JSON": (b"hello", 400, None, None),
    "half": (CHAT[:-5], 400, None, None),
    "trailing garbage": (CHAT + b"x", 400, None, None),
    "trailing comma": (CHAT[:-1] + b",}", 400, None, None),
    "single quotes": (b"{'model':'sim'}", 400, None, None),
    "NaN": (CHAT[:-1] + b',"temperature":NaN}', 400, None, None),
    "an array": (b"[" + CHAT + b"]", 400, None, None),
    "a string": (b'"sim"', 400, None, None),
    "null": (b"null", 400, None, None),
    "UTF-8 broken": (CHAT.replace(b"hi", b"\xff\xfe"), 400, None, None),
    "UTF-8 overlong": (CHAT.replace(b"hi", b"\xc0\xaf"), 400, None, None),
    "UTF-16": (CHAT.decode().encode("utf-16"), 400, None, None),
    "NUL inside": (CHAT.replace(b"hi", b"h\0i"), 400, None, None),
    "NULs only": (b"\0" * 100, 400, None, None),
    "no model": (b'{"messages":[{"role":"user","content":"hi"}]}', 400, "missing_required_parameter", "model"),
    "model null": (CHAT.replace(b'"sim"', b"null"), 400, None, "model"),
    "model empty": (CHAT.replace(b'"sim"', b'""'), 400, None, "model"),
    "model a number": (CHAT.replace(b'"sim"', b"4"), 400, None, "model"),
    "model an object": (CHAT.replace(b'"sim"', b"{}"), 400, None, "model"),
    "model twice": (b'{"model":"a",' + CHAT[1:], 400, None, "model"),
    "stream twice": (CHAT[:-1] + b',"stream":true,"stream":false}', 400, None, "stream"),
    "stream a string": (CHAT[:-1] + b',"stream":"yes"}', 400, None, "stream"),
    "no messages": (b'{"model":"sim"}', 400, "missing_required_parameter", "messages"),
    "messages empty": (b'{"model":"sim","messages":[]}', 400, "empty_array", "messages"),
    "messages a string": (b'{"model":"sim","messages":"hi"}', 400, "invalid_type", "messages"),
    "nested 100,000 deep": (CHAT[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, None, None),
    "nested and never closed": (b'{"model":' + b'{"a":' * 100_000, 400, None, None),
}


@pytest.mark.parametrize("name", BODIES)
async def test_bodies(name: str, gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    body, status, code, param = BODIES[name]
    [answer] = await exchange(gateway, post(body, connection="close"))
    detail = error(answer)
    assert (detail["status"], detail["type"], detail["param"]) == (status, "invalid_request_error", param)
    if code:
        assert detail["code"] == code
    assert sim.requests() == []


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/embeddings", b'{"model":"sim"}', "input"),
        ("/v1/completions", b'{"model":"sim"}', "prompt"),
        ("/v1/moderations", b"{}", "input"),
        ("/v1/images/generations", b"{}", "prompt"),
        ("/v1/audio/speech", b'{"model":"sim"}', "input"),
        ("/v1/responses", b'{"input":"x"}', "model"),
        ("/v1/rerank", b'{"query":"x"}', "model"),
    ],
)
async def test_required_fields(path: str, body: bytes, param: str, gateway: GatewayProcess) -> None:
    [answer] = await exchange(gateway, post(body, path, connection="close"))
    detail = error(answer)
    assert (detail["status"], detail["code"], detail["param"]) == (400, "missing_required_parameter", param)


@pytest.mark.parametrize("framing", ["declared", "chunked"])
async def test_a_body_above_the_cap(framing: str, gateway: GatewayProcess) -> None:
    size = 20 << 20
    if framing == "declared":
        data = post(b"x" * size, connection="close")
    else:
        data = head(content_type=JSON, transfer_encoding="chunked", connection="close")
        data += (b"%x\r\n%b\r\n" % (1 << 20, b"x" * (1 << 20))) * 20 + b"0\r\n\r\n"
    [answer] = await exchange(gateway, data)
    detail = error(answer)
    assert (detail["status"], detail["code"]) == (413, "request_too_large")
    assert str(16 << 20) in detail["message"]


async def test_a_declared_length_above_the_cap_is_refused_before_the_body(gateway: GatewayProcess) -> None:
    data = head(length=20 << 20, content_type=JSON, expect="100-continue", connection="close")
    [answer] = await exchange(gateway, data)
    assert error(answer)["status"] == 413


async def test_a_body_at_the_cap(gateway: GatewayProcess) -> None:
    body = CHAT[:-1] + b" " * ((16 << 20) - len(CHAT)) + b"}"
    [answer] = await exchange(gateway, post(body, connection="close"))
    assert answer[0] == 200


FORMS: dict[str, tuple[str, bytes, str | None]] = {
    "not a form": (FORM, b"hello", None),
    "empty": (FORM, b"", None),
    "no boundary": ("multipart/form-data", MODEL + FILE + b"--xx--\r\n", None),
    "another boundary": ("multipart/form-data; boundary=yy", MODEL + FILE + b"--xx--\r\n", None),
    "no model": (FORM, FILE + b"--xx--\r\n", "model"),
    "model empty": (FORM, PART % (b"model", b"", b"") + FILE + b"--xx--\r\n", "model"),
    "model twice": (FORM, MODEL + MODEL + FILE + b"--xx--\r\n", "model"),
    "model not text": (FORM, PART % (b"model", b"", b"\xff\xfe") + b"--xx--\r\n", "model"),
    "model too long": (FORM, PART % (b"model", b"", b"a" * 5000) + b"--xx--\r\n", "model"),
    "cut short": (FORM, MODEL + FILE, None),
    "cut in a head": (FORM, MODEL + b"--xx\r\ncontent-disp", None),
    "many parts": (FORM, (PART % (b"a", b"", b"b")) * 1000 + MODEL + b"--xx--\r\n", None),
    "no type at all": ("", MODEL + FILE + b"--xx--\r\n", None),
}


@pytest.mark.parametrize("name", FORMS)
async def test_forms(name: str, gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    content_type, body, param = FORMS[name]
    [answer] = await exchange(gateway, post(body, "/v1/audio/transcriptions", content_type, connection="close"))
    detail = error(answer)
    assert (detail["status"], detail["type"], detail["param"]) == (400, "invalid_request_error", param)
    assert sim.requests() == []


async def test_a_good_form(gateway: GatewayProcess) -> None:
    [answer] = await exchange(
        gateway, post(MODEL + FILE + b"--xx--\r\n", "/v1/audio/transcriptions", FORM, connection="close")
    )
    assert answer[0] == 200


@pytest.mark.parametrize("coding", ["gzip", "zstd", "GZIP", "br, gzip", "identity, gzip"])
async def test_compressed_bodies(coding: str, gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    [answer] = await exchange(gateway, post(gzip.compress(CHAT), content_encoding=coding, connection="close"))
    detail = error(answer)
    assert (detail["status"], detail["type"]) == (415, "invalid_request_error")
    assert detail["code"] == "unsupported_content_encoding"
    assert answer[1]["accept-encoding"] == "identity"
    assert sim.requests() == []


async def test_compressed_bodies_of_other_kinds(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """A form, an upload that is relayed, and the words of other dialects."""
    for path, content_type in (("/v1/audio/transcriptions", FORM), ("/v1/files", FORM), ("/v1/embeddings", JSON)):
        request = post(gzip.compress(CHAT), path, content_type, content_encoding="gzip", connection="close")
        assert error((await exchange(gateway, request))[0])["status"] == 415
    [(status, _, body)] = await exchange(
        gateway, post(gzip.compress(CHAT), "/v1/messages", content_encoding="gzip", connection="close")
    )
    assert (status, json.loads(body)["error"]["type"]) == (415, "invalid_request_error")
    path = "/v1beta/models/sim:generateContent"
    [(status, _, body)] = await exchange(
        gateway, post(gzip.compress(CHAT), path, content_encoding="gzip", connection="close")
    )
    assert (status, json.loads(body)["error"]["status"]) == (415, "INVALID_ARGUMENT")
    assert sim.requests() == []


async def test_a_body_that_says_it_is_not_compressed(gateway: GatewayProcess) -> None:
    [answer] = await exchange(gateway, post(CHAT, content_encoding="identity", connection="close"))
    assert answer[0] == 200
