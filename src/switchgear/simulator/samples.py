"""The smallest valid files of the kinds the simulator hands out, made when first asked for."""

from __future__ import annotations

import struct
import zlib
from functools import cache


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@cache
def png() -> bytes:
    """One grey pixel (PNG, ISO/IEC 15948)."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\x80", 9)
    return b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", pixels) + _png_chunk(b"IEND", b"")


@cache
def wav() -> bytes:
    """50 ms of silence: mono, 16 bit, 24 kHz (RIFF/WAVE)."""
    samples = pcm()
    fmt = struct.pack("<HHIIHH", 1, 1, 24000, 48000, 2, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@cache
def pcm() -> bytes:
    """50 ms of silence without a header."""
    return bytes(2 * 1200)


@cache
def mp3() -> bytes:
    """Two frames of silence: MPEG-1 layer III, 32 kbit/s, 44.1 kHz, mono: 104 bytes each (ISO/IEC 11172-3)."""
    frame = b"\xff\xfb\x10\xc4" + bytes(100)
    return frame * 2
