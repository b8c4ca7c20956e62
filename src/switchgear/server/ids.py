"""Request ids: the client's own where it is well formed, else one of ours."""

from __future__ import annotations

import os
import re
from itertools import count

_WELL_FORMED = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}").fullmatch


class RequestIds:
    """Makes `req_` + 12 hex digits of a random number per worker + 12 of a counter: unique without a system call
    each."""

    def __init__(self) -> None:
        self._prefix = b"req_" + os.urandom(6).hex().encode()
        self._next = count(int.from_bytes(os.urandom(2), "big")).__next__

    def accept(self, offered: bytes) -> bytes:
        """`offered` if it is 1 to 128 characters of `A-Za-z0-9._:-`, else a new one."""
        if offered and _WELL_FORMED(offered):
            return offered
        return b"%b%012x" % (self._prefix, self._next())
