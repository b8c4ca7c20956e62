"""The prices of the installed genai-prices package as JSON, taken out of it by a process of its own.

The package has its prices as Python objects: with them and what they are made of a process grows by 18 MB that it does
not give back. So `python -m switchgear.accounting.bundle` writes them to standard output and is gone.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from functools import cache
from typing import Any

LOAD_S = 60.0


class Loading:
    """The process, from its start on."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "switchgear.accounting.bundle"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def result(self) -> tuple[str, bytes]:
        """The package's version, and its vendors as `accounting.catalogue.pack` writes them. Raises OSError."""
        try:
            out, err = self._child.communicate(timeout=LOAD_S)
        except subprocess.TimeoutExpired as error:
            self._child.kill()
            self._child.communicate()
            raise OSError(f"the prices of the package genai-prices were not read in {LOAD_S:.0f} s") from error
        if self._child.returncode:
            last = err.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise OSError(f"the prices of the package genai-prices cannot be read: {last}")
        version, _, content = out.partition(b"\n")
        return version.decode(), content


@cache
def begin() -> Loading:
    """Start the process, once: whoever knows early that it will ask need not wait for all of it."""
    return Loading()


def write() -> None:
    """The same to standard output: the version, a line feed, the vendors."""
    import genai_prices
    import msgspec
    from genai_prices.data import providers

    from switchgear.accounting.catalogue import Vendor, pack

    vendors = msgspec.convert([plain(provider) for provider in providers], list[Vendor])
    sys.stdout.buffer.write(genai_prices.__version__.encode() + b"\n" + pack(vendors))


def plain(thing: Any) -> Any:
    """The package's objects as the JSON form has them; what is not a price is left behind."""
    if isinstance(thing, Decimal | str | int | bool) or thing is None:
        return thing
    if isinstance(thing, date | time):
        return thing.isoformat()
    if isinstance(thing, list):
        return [plain(item) for item in thing]
    if isinstance(thing, Mapping):
        return {key: plain(value) for key, value in thing.items()}
    renamed = {"or_": "or", "and_": "and"}
    return {
        renamed.get(name, name): plain(value)
        for name, value in vars(thing).items()
        if value is not None and name != "extractors" and not name.startswith("_")
    }


if __name__ == "__main__":
    write()
