"""Where ledger rows go besides the database.

A sink is a class that the entry point `switchgear.sinks` names by its type; it is made with its section of the
configuration. Rows reach it in batches, in the order of each journal, from the drain's thread. Exactly once is agreed
between the two: a batch's token and content are the same every time it is sent, and the sink, or what stands behind
it, takes a token once. Before a batch is sent, its end is written to a file in the journal (`SinkProgress`), so that
also another process sends the same again.

A sink that is away keeps segments from being deleted, up to half of `ledger.max_bytes`; then it loses the oldest, which
is logged. It never keeps a request from being served.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

import msgspec

from switchgear.config.schema_prices import Sink as SinkSettings
from switchgear.errors import ConfigError
from switchgear.hotpath._journal import Row

GROUP = "switchgear.sinks"


class Sink(Protocol):
    """What an entry point of `switchgear.sinks` names is called with `config.schema_prices.Sink` and gives this."""

    async def start(self) -> None:
        """Make what is needed at the other end, such as a table. Called until it raises nothing."""

    async def send(self, rows: Sequence[Row], token: str) -> None:
        """Store rows (`accounting.row.COLUMNS`, then journal and position). Raises anything when that is not sure."""

    async def close(self) -> None:
        """Close connections."""


class SinkProgress(msgspec.Struct):
    """How far a sink has a journal, and where the batch ends that is being sent: as (segment, offset)."""

    done: tuple[int, int] = (0, 0)
    sending: tuple[int, int] | None = None

    @classmethod
    def load(cls, folder: str, name: str) -> SinkProgress:
        """Of the journal in `folder`; its beginning where the sink has not begun. Raises OSError, and
        msgspec.DecodeError for a damaged file."""
        try:
            return msgspec.json.decode(Path(folder, f"sink-{name}").read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()

    def save(self, folder: str, name: str) -> None:
        """Replace the file at once: a reader finds the old or the new one whole."""
        path = Path(folder, f"sink-{name}")
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(self))
        os.replace(new, path)


def sink_types() -> dict[str, type[Sink]]:
    """The types there are, loaded. `clickhouse` is built in."""
    from switchgear.accounting.clickhouse import ClickHouse

    found: dict[str, type[Sink]] = {"clickhouse": ClickHouse}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, entry.load())
    return found


def make_sinks(settings: Sequence[SinkSettings]) -> dict[str, Sink]:
    """Sinks by name. Raises ConfigError for an unknown type, a name used twice, or settings that a type refuses."""
    types = sink_types() if settings else {}
    made: dict[str, Sink] = {}
    for n, one in enumerate(settings):
        key = f"ledger.sinks[{n}]"
        name = one.name or one.type
        if one.type not in types:
            raise ConfigError(f"expected one of {', '.join(sorted(types))}", key=f"{key}.type")
        if name in made or not name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError("expected a name of letters, digits, '-' and '_', each once", key=f"{key}.name")
        try:
            made[name] = types[one.type](one)  # type: ignore[call-arg]  # the protocol says nothing of how it is made
        except ValueError as error:
            raise ConfigError(str(error), key=key) from None
    return made
