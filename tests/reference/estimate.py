"""What `switchgear.hotpath._estimate` does, said plainly: the oracle of its differential tests."""

from __future__ import annotations

import re

_RUN = re.compile(rb"[A-Za-z0-9+/_-]+")
_PARTS = re.compile(
    rb"(?P<letters>[A-Za-z]+)|(?P<digits>[0-9]+)|(?P<spaces>[ \t\r\n]+)|(?P<escape>\\(?:u.{0,4}|[^u]?))"
    rb"|(?P<two>[\xc0-\xdf].?)|(?P<three>[\xe0-\xef].{0,2})|(?P<four>[\xf0-\xff].{0,3})|(?P<continued>[\x80-\xbf])"
    rb"|(?P<other>[^A-Za-z0-9 \t\r\n\\\x80-\xff]+)",
    re.DOTALL,
)


def estimate_tokens(body: bytes) -> int:
    quarters = at = looked = 0
    while at < len(body):
        part = _PARTS.match(body, at)
        assert part is not None
        length, kind = len(part[0]), part.lastgroup
        quarters += {
            "letters": 4 + 4 * min((length - 1) // 8, 1024),
            "digits": 4 * ((length + 2) // 3),
            "spaces": 4 if length > 1 else 0,
            "escape": 3,
            "two": 2,
            "three": 4,
            "four": 8,
            "continued": 0,
            "other": 3 + length // 2,
        }[str(kind)]
        run = _RUN.match(body, at) if kind in ("letters", "digits") and at >= looked else None
        if run is not None and run.end() > part.end():  # what a run holds is looked at once, from its first word on
            looked = run.end()
            if run.end() - at >= 1024:
                quarters += 4000
                at = run.end()
                continue
        at = part.end()
    return (quarters + 3) // 4
