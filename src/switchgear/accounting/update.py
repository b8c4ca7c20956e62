"""Fetching a newer price catalogue: the file of the genai-prices project, checked, then put in place at once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import httpx

from switchgear.accounting.catalogue import MAX_FILE_BYTES, Catalogue, read

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0


def default_url() -> str:
    """Where the project publishes its prices."""
    from genai_prices.update_prices import DEFAULT_UPDATE_URL

    return DEFAULT_UPDATE_URL


def fetch(url: str) -> bytes:
    """The bytes of a catalogue. Raises OSError when it cannot be had, ValueError for an answer that is too large."""
    timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    parts: list[bytes] = []
    size = 0
    try:
        with httpx.stream("GET", url, timeout=timeout, follow_redirects=True) as response:
            if response.status_code != 200:
                raise OSError(f"the server answered with status {response.status_code}")
            for part in response.iter_bytes():
                parts.append(part)
                size += len(part)
                if size > MAX_FILE_BYTES:
                    raise ValueError(f"the answer is larger than {MAX_FILE_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise OSError(str(exc) or type(exc).__name__) from exc
    return b"".join(parts)


def update(path: Path, url: str) -> Catalogue:
    """Fetch a catalogue into a file and return it. What is no catalogue changes nothing.

    Raises OSError, ValueError.
    """
    content = fetch(url)
    catalogue = read(content)
    _replace(path, content)
    return catalogue


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old or the new one whole, also after a crash."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
