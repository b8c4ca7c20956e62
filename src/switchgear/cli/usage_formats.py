"""How `switchgear usage` writes rows: a writer a format, each fed row by row, so that millions need no memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any, BinaryIO, Protocol

import click
import orjson

from switchgear.db.names import DIMENSIONS, FLAGS

FORMATS = ("table", "jsonl", "json", "csv", "parquet")
_TABLE_ROWS = 200  # what the widths of a table's columns are found from
_PARQUET_ROWS = 10_000
_SHOWN_ROW = (
    "time",
    "request_id",
    "attempt",
    "key",
    "model",
    "provider",
    "status",
    "input_tokens",
    "output_tokens",
    "cost_nanousd",
    "total_ms",
)
_LEFT_OUT_OF_SUMS = ("input_audio_tokens", "cached_audio_tokens", "output_audio_tokens", "images", "cache_write_tokens")


class Writer(Protocol):
    """Takes mappings that all have the same keys, then `close`."""

    def write(self, row: dict[str, Any]) -> None:
        """One row. Raises OSError where it cannot be written."""

    def close(self) -> None:
        """Write what is held back. The file that it writes to stays open."""


def writer(form: str, out: BinaryIO, columns: Iterable[str]) -> Writer:
    """columns: the keys of every row, for formats that have a head. Raises click.ClickException for Parquet without
    pyarrow."""
    names = list(columns)
    if form == "jsonl":
        return _Lines(out)
    if form == "json":
        return _Json(out)
    if form == "csv":
        return _Csv(out, names)
    if form == "parquet":
        return _Parquet(out, names)
    return _Table(out, names)


class _Lines:
    def __init__(self, out: BinaryIO):
        self._out = out

    def write(self, row: dict[str, Any]) -> None:
        self._out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        self._out.flush()


class _Json:
    """One array, an element a line."""

    def __init__(self, out: BinaryIO):
        self._out = out
        self._before = b"[\n"

    def write(self, row: dict[str, Any]) -> None:
        self._out.write(self._before + orjson.dumps(row))
        self._before = b",\n"

    def close(self) -> None:
        self._out.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")
        self._out.flush()


class _Csv:
    """RFC 4180; None is an empty field, tags are JSON."""

    def __init__(self, out: BinaryIO, names: list[str]):
        self._text = io.TextIOWrapper(out, "utf-8", newline="", write_through=False)
        self._rows = csv.DictWriter(self._text, names)
        self._rows.writeheader()

    def write(self, row: dict[str, Any]) -> None:
        self._rows.writerow({name: _plain(value) for name, value in row.items()})

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


class _Table:
    """For a terminal: the columns that matter, as wide as the first 200 rows need, money in USD."""

    def __init__(self, out: BinaryIO, names: list[str]):
        self._out = out
        kept = _SHOWN_ROW if "request_id" in names else [name for name in names if name not in _LEFT_OUT_OF_SUMS]
        self._names = list(kept)
        self._held: list[list[str]] = []
        self._widths: list[int] = []

    def write(self, row: dict[str, Any]) -> None:
        cells = [_cell(name, row[name]) for name in self._names]
        if self._widths:
            self._line(cells)
            return
        self._held.append(cells)
        if len(self._held) >= _TABLE_ROWS:
            self._begin()

    def close(self) -> None:
        if not self._widths:
            self._begin()
        self._out.flush()

    def _begin(self) -> None:
        heads = ["cost_usd" if name == "cost_nanousd" else name for name in self._names]
        self._widths = [max(map(len, column)) for column in zip(heads, *self._held, strict=True)]
        for cells in (heads, *self._held):
            self._line(cells)
        self._held.clear()

    def _line(self, cells: list[str]) -> None:
        padded = (cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True))
        self._out.write("  ".join(padded).rstrip().encode() + b"\n")


class _Parquet:
    """zstd; a row group every 10,000 rows."""

    def __init__(self, out: BinaryIO, names: list[str]):
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise click.ClickException(
                "Parquet needs pyarrow: install it with `pip install 'switchgear[parquet]'`"
            ) from None
        self._arrow = pyarrow
        self._schema = pyarrow.schema([(name, _arrow_type(pyarrow, name)) for name in names])
        self._file = parquet.ParquetWriter(out, self._schema, compression="zstd")
        self._held: list[dict[str, Any]] = []

    def write(self, row: dict[str, Any]) -> None:
        self._held.append(row if "tags" not in row else {**row, "tags": list(row["tags"].items())})
        if len(self._held) >= _PARQUET_ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._held:
            self._file.write_table(self._arrow.Table.from_pylist(self._held, schema=self._schema))
            self._held.clear()


_TEXTS = (
    *("request_id", "time", *DIMENSIONS, "error_class"),
    "service_tier",
    "price_version",
    "hour",
    "day",
    "month",
)


def _arrow_type(pyarrow: Any, name: str) -> Any:
    if name == "tags":
        return pyarrow.map_(pyarrow.string(), pyarrow.string())
    if name.endswith("_ms"):
        return pyarrow.float64()
    if name in FLAGS:
        return pyarrow.bool_()
    if name in _TEXTS:
        return pyarrow.string()
    return pyarrow.int64()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return orjson.dumps(value).decode() if value else ""
    return str(value).lower() if isinstance(value, bool) else value


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "cost_nanousd":
        return f"{value // 1_000_000_000}.{value % 1_000_000_000:09d}"
    return _printable(str(value))


def _printable(text: str) -> str:
    """Names come from clients: what a terminal would act on is shown, not sent."""
    return "".join(character if character.isprintable() else "?" for character in text)
