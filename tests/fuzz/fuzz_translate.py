"""Fuzz target: streams through `hotpath._translate`. Input: a byte that chooses the pair, a byte for the cuts, the
stream."""

from switchgear.hotpath._translate import Translator
from tests.providers.folding import fold
from tests.providers.stream_cases import CASES, PAIRS

SEEDS = [
    bytes([number, 13]) + body
    for number, (upstream, _) in enumerate(PAIRS)
    for case, body in CASES[upstream].items()
    if case in ("text", "tools", "reasoning", "usage", "error")
]


def _translate(pair: int, body: bytes, step: int) -> tuple[Translator, bytes]:
    upstream, client = PAIRS[pair % len(PAIRS)]
    this = Translator(upstream, client, include_usage=True, seed="ab", max_event_bytes=1 << 16, max_held_bytes=1 << 16)
    return this, b"".join([this.feed(body[at : at + step]) for at in range(0, len(body), step)]) + this.flush()


def one_input(data: bytes) -> None:
    """No exception, no difference for the cuts, an end either good or an error, the grammar of the dialect."""
    if len(data) < 2:
        return
    pair, step, body = data[0], data[1] + 1, data[2:]
    this, out = _translate(pair, body, step)
    assert this.done
    assert this.finished != (this.error is not None)
    assert this.pending == 0
    assert _translate(pair, body, len(body) + 1)[1] == out
    upstream, client = PAIRS[pair % len(PAIRS)]
    if upstream != client.removesuffix("-array"):  # between equal dialects, what the upstream made up is passed on
        fold(client, out)
    assert this.usage is None or this.usage.input_tokens >= 0
