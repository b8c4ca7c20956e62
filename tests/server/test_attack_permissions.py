"""A key that is limited to some models stays limited, whatever the body says beside the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cases.client import Open, calls
from tests.conftest import basic_config
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[[dict[str, Any]], GatewayProcess]
LIMITED = "sk-limited-0123456789abcdef"


@pytest.fixture
def limited(start_gateway: Start, sim: SimulatorProcess) -> GatewayProcess:
    config = basic_config(sim, keys=[{"name": "limited", "value": LIMITED, "models": ["sim/tts-1"]}])
    return start_gateway(config)


def test_a_model_in_a_batch_opens_no_batches(limited: GatewayProcess, sim: SimulatorProcess) -> None:
    answer = Open(
        limited.origin, "/v1/batches", {"model": "sim/tts-1", "input_file_id": "file-1"}, key=LIMITED
    ).answer()
    assert (answer.status, answer.error["code"]) == (403, "model_not_allowed")
    assert calls(sim) == []


def part(disposition: bytes, value: bytes) -> bytes:
    return b"--B\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + value + b"\r\n"


ALLOWED = part(b'form-data; name="model"', b"sim/tts-1")
FORBIDDEN = b"sim/whisper-1"


SECONDS = [
    part(b'form-data; name="model"', FORBIDDEN),
    part(b"form-data; name=model", FORBIDDEN),
    part(b"form-data;name=model;filename=x", FORBIDDEN),
    part(b"form-data; name*=utf-8''model", FORBIDDEN),
    part(b'form-data; name="mod\\el"', FORBIDDEN),
    part(b'form-data; name="model', FORBIDDEN),
    part(b'form-data; name="other"; name="model"', FORBIDDEN),
    part(b'form-data; name="other"\r\nContent-Disposition: form-data; name="model"', FORBIDDEN),
    part(b'form-data; name="other"\nContent-Disposition: form-data; name="model"', FORBIDDEN),
    part(b'form-data;\r\n name="model"', FORBIDDEN),
    b'--B\r\nX: name="a"\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + FORBIDDEN + b"\r\n",
    b'--B \r\nContent-Disposition: form-data; name="model"\r\n\r\n' + FORBIDDEN + b"\r\n",
]


def test_a_form_names_its_model_once(limited: GatewayProcess, sim: SimulatorProcess) -> None:
    for body in [body + b"--B--\r\n" for second in SECONDS for body in (ALLOWED + second, second + ALLOWED)]:
        answer = Open(
            limited.origin,
            "/v1/audio/transcriptions",
            body,
            headers={"content-type": "multipart/form-data; boundary=B"},
            key=LIMITED,
        ).answer()
        assert answer.status == 400, body
    assert calls(sim) == []


def test_a_form_has_one_boundary(limited: GatewayProcess, sim: SimulatorProcess) -> None:
    for kind in ("multipart/form-data; boundary=B; boundary=C", "multipart/form-data; xboundary=B"):
        answer = Open(
            limited.origin,
            "/v1/audio/transcriptions",
            ALLOWED + b"--B--\r\n",
            headers={"content-type": kind},
            key=LIMITED,
        ).answer()
        assert (answer.status, answer.error["code"]) == (400, "invalid_multipart")
    assert calls(sim) == []


def test_a_boundary_may_say_json(limited: GatewayProcess, sim: SimulatorProcess) -> None:
    for boundary in ("----json", '"json B"'):
        body = (ALLOWED + b"--B--\r\n").replace(b"--B", b"--" + boundary.strip('"').encode())
        kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
        Open(limited.origin, "/v1/audio/transcriptions", body, headers=kind, key=LIMITED).answer()
    assert [record["path"] for record in calls(sim)] == ["/v1/audio/transcriptions"] * 2


def test_a_field_name_may_stand_without_quotes(limited: GatewayProcess, sim: SimulatorProcess) -> None:
    """As .NET's HttpClient writes it."""
    body = part(b"form-data; name=model", b"sim/tts-1") + part(b"form-data; name=file; filename=a.wav", b"x")
    body = body + part(b'form-data; name="x"; filename="a;name=model"; filename*=utf-8\'\'a', b"y") + b"--B--\r\n"
    kind = {"content-type": "multipart/form-data; boundary=B"}
    Open(limited.origin, "/v1/audio/transcriptions", body, headers=kind, key=LIMITED).answer()
    assert [record["path"] for record in calls(sim)] == ["/v1/audio/transcriptions"]
