"""Odd paths, methods, credentials and request ids; cross-origin requests."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.bad_input.raw import CHAT, CHAT_PATH, JSON, error, exchange, head, post
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

PATHS: list[tuple[str, str, int, str]] = [
    ("GET", "/v1/nothing", 404, "unknown_url"),
    ("POST", "/v2/chat/completions", 404, "unknown_url"),
    ("POST", "/", 405, "method_not_supported"),
    ("GET", "/v1", 404, "unknown_url"),
    ("GET", "/favicon.ico", 404, "unknown_url"),
    ("GET", "/v1/%2e%2e/%2e%2e/etc/passwd", 404, "unknown_url"),
    ("GET", "/v1/../admin", 404, "unknown_url"),
    ("POST", "/v1/files/../chat/completions", 404, "unknown_url"),
    ("GET", "/v1/files/a%2Fb%00c", 404, "unknown_url"),
    ("GET", CHAT_PATH, 405, "method_not_supported"),
    ("DELETE", CHAT_PATH, 405, "method_not_supported"),
    ("PUT", "/v1/files", 405, "method_not_supported"),
    ("POST", "/v1/models", 405, "method_not_supported"),
    ("DELETE", "/v1/models/x", 405, "method_not_supported"),
    ("BREW", CHAT_PATH, 405, "method_not_supported"),
    ("POST", "/v1/threads", 501, "unsupported_endpoint"),
    ("POST", "/v1/vector_stores", 501, "unsupported_endpoint"),
    ("GET", "/v1/" + "a" * 5000, 404, "unknown_url"),
]


@pytest.mark.parametrize(("method", "path", "status", "code"), PATHS, ids=[f"{row[0]} {row[1][:40]}" for row in PATHS])
async def test_paths(
    method: str, path: str, status: int, code: str, gateway: GatewayProcess, sim: SimulatorProcess
) -> None:
    [answer] = await exchange(gateway, head(method, path, 0, connection="close"))
    detail = error(answer)
    assert (detail["status"], detail["code"]) == (status, code)
    if status == 405:
        assert "OPTIONS" in answer[1]["allow"]
    assert sim.requests() == []


@pytest.mark.parametrize("path", ["//v1//chat///completions", "/v1/chat/completions/", "//v1/chat/completions//"])
async def test_slashes_too_many(path: str, gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    [answer] = await exchange(gateway, post(CHAT, path, connection="close"))
    assert answer[0] == 200
    assert sim.requests()[-1]["path"] == CHAT_PATH


async def test_head(gateway: GatewayProcess) -> None:
    for path, status in (("/health", 200), ("/v1/models", 200), ("/v1/nothing", 404), (CHAT_PATH, 405)):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head("HEAD", path, connection="close"))
        raw = await reader.read(-1)
        writer.close()
        top, _, body = raw.partition(b"\r\n\r\n")
        assert int(top.split(b" ")[1]) == status
        assert body == b""
        assert int(top.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) > 0


async def test_preflight(gateway: GatewayProcess) -> None:
    asked = {"origin": "https://app.example", "access_control_request_method": "POST", "connection": "close"}
    [(status, headers, body)] = await exchange(gateway, head("OPTIONS", CHAT_PATH, authorization="", **asked))
    assert (status, body) == (204, b"")
    assert headers["access-control-allow-origin"] == "https://app.example"
    assert headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert "authorization" in headers["access-control-allow-headers"]
    [(status, headers, _)] = await exchange(gateway, post(CHAT, origin="https://app.example", connection="close"))
    assert (status, headers["access-control-allow-origin"]) == (200, "https://app.example")
    [(status, headers, _)] = await exchange(
        gateway, head("GET", "/v1/x", origin="https://app.example", connection="close")
    )
    assert (status, headers["access-control-allow-origin"]) == (404, "https://app.example")
    [(_, headers, _)] = await exchange(gateway, post(CHAT, origin="https://evil.example", connection="close"))
    assert not [name for name in headers if name.startswith("access-control")]


async def test_credentials_of_every_kind(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    for value in (
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer sk-wrong",
        "Bearer \xff\xfe",
        f"Bearer {KEY}x",
        "a" * 50_000,
    ):
        [answer] = await exchange(gateway, post(CHAT, authorization=value, connection="close"))
        assert error(answer)["status"] == 401
    assert sim.requests() == []


async def test_two_credentials(gateway: GatewayProcess) -> None:
    """The same one twice is one; two that differ are none, in whatever order, also on the compiled path."""
    good, bad = f"authorization: Bearer {KEY}\r\n".encode(), b"authorization: Bearer sk-other\r\n"
    bare = head(length=len(CHAT), content_type=JSON, connection="close").replace(good, b"")
    assert b"authorization" not in bare.lower()
    for lines, status in (((good,), 200), ((good, good), 200), ((good, bad), 401), ((bad, good), 401)):
        line, _, rest = bare.partition(b"\r\n")
        (answer,) = await exchange(gateway, line + b"\r\n" + b"".join(lines) + rest + CHAT)
        assert answer[0] == status


async def test_request_ids_that_are_not_well_formed(gateway: GatewayProcess) -> None:
    for offered in ("a b", "x" * 129, "é", "<script>", "-"):
        [(status, headers, _)] = await exchange(gateway, post(CHAT, x_request_id=offered, connection="close"))
        assert status == 200
        assert headers["x-request-id"].startswith("req_")
