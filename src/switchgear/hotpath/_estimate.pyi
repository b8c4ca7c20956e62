"""What a request will use, before it is known: prompt tokens from its bytes, output tokens from what was seen before.

The estimate of the prompt goes by script: a word of ASCII letters is a token and one more for each eight letters beyond
the first; three digits are one; punctuation and JSON's own signs count by runs; a character of two bytes in UTF-8
(Latin with accents, Greek, Cyrillic, Arabic, …) is half a token, of three bytes (Chinese, Japanese, Korean, …) one, of
four (emoji) two. An unbroken run of 1,024 characters of base64 or more is data (an image, say) and counts 1,000 however
long.

Usage that upstreams report then makes it exact, per family of models (a model's name without its date): the estimate is
multiplied by the family's ratio of reported to estimated tokens. `expected` takes its mean, `upper`, which hard limits
reserve, the mean and three mean deviations, as TCP's retransmission timer does (RFC 6298) to be seldom too short. The
output length of a model that was asked without a maximum is the largest that was seen, forgotten by half every
`HALF_LIFE` answers, and a quarter more.
"""

MAX_FAMILIES: int
LEARNT_AFTER: int
"""Answers of a family before it is believed what they teach; until then 1.3 x the estimate is reserved for a prompt."""
FIRST_OUTPUT: int
"""Tokens reserved for an answer without a maximum until then."""
HALF_LIFE: int

def estimate_tokens(body: bytes) -> int:
    """Tokens of `body`, at least 0. Linear in its length; never raises for any bytes."""

def family_of(model: str) -> str:
    """`gpt-4.1` of `openai/gpt-4.1-2025-04-14`."""

class Estimates:
    """One worker's. Bounded: of more than `max_families` the one that was learnt from longest ago is forgotten."""

    def __init__(self, max_families: int = ...) -> None: ...
    def raw(self, model: str, body: bytes) -> int:
        """Tokens of a prompt before calibration. What a subclass that counts in another way overrides; both ways of a
        request ask it."""

    def prompt(self, model: str, body: bytes) -> tuple[int, int]:
        """(raw, upper) tokens: the estimate before calibration, for `observe`, and what a hard limit should reserve."""

    def upper(self, model: str, raw: int) -> int:
        """Tokens that `raw` estimated ones will hardly exceed."""

    def expected(self, model: str, raw: int) -> int:
        """Tokens that `raw` estimated ones will be on average: for a usage that nobody reported."""

    def output(self, model: str, max_tokens: int, n: int = 1) -> int:
        """Output tokens to reserve. max_tokens: what the request allows, -1 where it says nothing. n: choices."""

    def observe(self, model: str, raw: int, input_tokens: int, output_tokens: int, n: int = 1) -> int:
        """Learn from a usage that an upstream reported, tokens; never from an estimated one. Returns 0."""

    def errors(self) -> dict[str, float]:
        """Mean relative error of the expected prompt tokens, per family."""
