"""One call from an upstream's bytes to what the client ends up with."""

from typing import Any

from switchgear.hotpath._translate import Translator
from tests.providers.folding import Fold, fold

SEED = "00112233445566778899aabbccddeeff"


def run(upstream: str, client: str, body: bytes, **options: Any) -> tuple[Translator, bytes]:
    this = Translator(upstream, client, **{"include_usage": True, "seed": SEED, "created": 1700000000, **options})
    return this, this.feed(body) + this.flush()


def folded(upstream: str, client: str, body: bytes, **options: Any) -> Fold:
    return fold(client, run(upstream, client, body, **options)[1])


def only(upstream: str, client: str, body: bytes, **options: Any) -> dict[str, Any]:
    answer = folded(upstream, client, body, **options)
    assert answer["error"] is None
    choice: dict[str, Any] = answer["choices"][0]
    return choice
