"""What is learnt from reported usage, and that it stays bounded."""

from __future__ import annotations

from random import Random

from switchgear.hotpath._estimate import FIRST_OUTPUT, Estimates, family_of

BODY = b'{"messages":[{"role":"user","content":"' + b"hello there, my old friend. " * 40 + b'"}]}'


def test_upper_estimates_are_seldom_exceeded_and_near() -> None:
    random, estimates = Random(1), Estimates()  # noqa: S311 - the same each time
    over = 0
    for turn in range(2000):
        raw, upper = estimates.prompt("openai/gpt-4.1-2025-04-14", BODY)
        reported = round(raw * random.uniform(0.75, 0.95))
        if turn >= 50:
            over += reported > upper
            assert upper < raw * 1.2
        estimates.observe("gpt-4.1", raw, reported, 10)
    assert over <= 20
    assert estimates.errors()["gpt-4.1"] < 0.1
    raw, _ = estimates.prompt("gpt-4.1", BODY)
    assert 0.8 * raw <= estimates.expected("gpt-4.1", raw) <= 0.9 * raw


def test_output_is_what_is_allowed_else_what_was_seen() -> None:
    estimates = Estimates()
    assert estimates.output("m", 100, 3) == 300
    assert estimates.output("m", 0) == 0
    assert estimates.output("m", -1, 2) == 2 * FIRST_OUTPUT
    for _ in range(19):
        estimates.observe("m", 10, 10, 400)
    assert estimates.output("m", -1) == FIRST_OUTPUT
    estimates.observe("m", 10, 10, 800)
    assert estimates.output("m", -1) == 1001
    for _ in range(4000):
        estimates.observe("m", 10, 10, 100)
    assert estimates.output("m", -1) == 250


def test_nonsense_teaches_nothing() -> None:
    estimates = Estimates()
    for reported in (0, 1, 10_000_000):
        estimates.observe("m", 1000, reported, 0)
    assert estimates.upper("m", 1000) == 1301
    assert estimates.errors() == {}


def test_families_are_bounded() -> None:
    estimates = Estimates(max_families=10)
    for number in range(100):
        estimates.observe(f"model{number}", 10, 10, 1)
    assert list(estimates.errors()) == [f"model{number}" for number in range(90, 100)]


def test_families() -> None:
    names = ["gpt-4.1", "openai/gpt-4o-2024-08-06", "claude-sonnet-4-5-20250929", "gpt-4-0613", "mistral-small-latest"]
    assert [family_of(name) for name in names] == ["gpt-4.1", "gpt-4o", "claude-sonnet-4-5", "gpt-4", "mistral-small"]
