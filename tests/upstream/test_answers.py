"""What an upstream's answer is taken for, by its bytes alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.upstream.answers import failed_response


def failed(error: Any) -> bytes:
    return json.dumps({"type": "response.failed", "response": {"status": "failed", "error": error}}).encode()


@pytest.mark.parametrize(
    ("data", "status", "kind", "code", "message"),
    [
        (failed({"code": "rate_limit_exceeded", "message": "w"}), 429, "rate_limit_error", "rate_limit_exceeded", "w"),
        (failed({"code": "invalid_prompt", "message": "no"}), 400, "invalid_request_error", "invalid_prompt", "no"),
        (failed({"code": "server_error", "message": "no"}), 502, "server_error", "server_error", "no"),
        (failed(None), 502, "server_error", None, "The upstream's answer failed."),
        (b'{"response":7}', 502, "server_error", None, "The upstream's answer failed."),
        (b"\xff", 502, "server_error", None, "The upstream's answer failed."),
    ],
)  # fmt: skip
def test_a_failed_response_as_an_error_answer(
    data: bytes, status: int, kind: str, code: str | None, message: str
) -> None:
    error = failed_response(data)
    assert error.status == status
    assert json.loads(error.body)["error"] == {"message": message, "type": kind, "param": None, "code": code}
