"""Each client dialect in front of each upstream format, against golden files."""

from __future__ import annotations

import json

import pytest
from golden import GENERATE, OLD, cases, path_of, translate
from wire_codecs import DIALECTS, FORMATS


@pytest.mark.parametrize(("client", "upstream", "case"), cases())
def test_translation_is_as_frozen(client: str, upstream: str, case: str) -> None:
    request = json.loads(path_of(client, upstream, case, "request").read_text())
    response = json.loads(path_of(client, upstream, case, "response").read_text())
    sent, got = translate(client, upstream, request, response)
    assert sent == json.loads(path_of(client, upstream, case, "upstream").read_text())
    assert got == json.loads(path_of(client, upstream, case, "answer").read_text())


def test_every_pair_has_its_cases() -> None:
    found = cases()
    for client in DIALECTS:
        for upstream in FORMATS:
            assert len([c for c in found if c[:2] == (client, upstream)]) >= 6
    for client in OLD:
        for upstream in ("anthropic", "gemini", "ollama"):
            assert len([c for c in found if c[:2] == (client, upstream)]) == 2
    for client in GENERATE:
        for upstream in ("openai_chat", "anthropic", "gemini"):
            assert len([c for c in found if c[:2] == (client, upstream)]) == 2
