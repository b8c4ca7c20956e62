"""docs/providers.md says what the code does, and its example works."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from switchgear.providers.quirks import QUIRKS
from switchgear.providers.registry import BUILT_IN
from tests.support.processes import KEY, ROOT, GatewayProcess, get_json
from tests.support.scripted import Asked, Told, scripted, told

PAGE = (ROOT / "docs" / "providers.md").read_text()
PACKAGE = ROOT / "tests" / "support" / "provider_package"


def test_each_row_is_the_codes() -> None:
    rows = {
        cells[0].strip("`"): cells
        for line in PAGE.splitlines()
        if line.startswith("| `")
        for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
    }
    assert list(rows) == list(BUILT_IN)
    for name, row in BUILT_IN.items():
        _, wire, base, auth, responses, quirks, _ = rows[name]
        assert (wire, auth) == (row.wire, row.auth)
        assert base.strip("`") == (row.base_url or "yours")
        assert responses == ("native" if row.responses else "translated")
        assert set(re.findall(r"`(\w+)`", quirks)) == row.quirks <= set(QUIRKS)


def test_each_codec_exists() -> None:
    named = set(re.findall(r"`(formats/\w+\.py)`", PAGE))
    assert len(named) == 5
    assert all((ROOT / "src/switchgear/providers" / name).is_file() for name in named)


def test_the_example_is_the_package_that_is_tested() -> None:
    module = (PACKAGE / "switchgear_acme" / "__init__.py").read_text()
    example = re.findall(r"```python\n(.*?)```", PAGE, re.S)[0]
    assert module.endswith(example)


def test_the_example_serves_a_request(start_gateway: Callable[..., GatewayProcess]) -> None:
    def answer(asked: Asked) -> Told:
        message = {"role": "assistant", "content": "hi"}
        choice = {"index": 0, "message": message, "finish_reason": "eos"}
        return told({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})

    with scripted(answer) as upstream:
        config = {
            "providers": {
                "acme": {"type": "acme", "base_url": f"{upstream.origin}/v1", "credentials": ["sk-acme-000"]}
            },
            "models": {"m": {"targets": [{"provider": "acme", "model": "m"}]}},
            "keys": [{"name": "test", "value": KEY}],
        }
        path = os.pathsep.join([str(ROOT / "src"), str(PACKAGE)])
        gateway = start_gateway(config, {"PYTHONPATH": path})
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        found = get_json(f"{gateway.url}/chat/completions", "POST", body, headers)
        assert found["choices"][0]["finish_reason"] == "stop"  # its quirk is repaired
        assert upstream.requests[0].headers["authorization"] == "Bearer sk-acme-000"
