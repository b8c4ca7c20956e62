"""Finding small fields in a multipart/form-data body (RFC 7578) without taking it apart.

The body goes on as it came, boundary and all; only the value of `model` may be spliced.
"""

from __future__ import annotations

import re

from switchgear.errors import InvalidRequest
from switchgear.types import FormFields

_BOUNDARY = re.compile(rb'boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"\r\n]{0,64})"', re.IGNORECASE)
_PARTS_MAX = 256
_VALUE_MAX = 1024


def boundary(content_type: bytes) -> bytes:
    """The boundary of a multipart content type. Raises `InvalidRequest` when there is none."""
    found = _BOUNDARY.search(content_type)
    if not found:
        raise InvalidRequest("The multipart Content-Type has no boundary.", code="invalid_multipart")
    return found[1] or found[2]


def find_fields(body: bytes, content_type: bytes) -> FormFields:
    """`model` and `stream` of a form. Raises `InvalidRequest`: not a form, too many parts, a field twice or not
    text."""
    mark = b"--" + boundary(content_type)
    found: dict[bytes, tuple[int, int]] = {}
    at = body.find(mark)
    if at != 0 and body[at - 2 : at] != b"\r\n":
        raise InvalidRequest(
            "The body is not multipart/form-data with the boundary of its Content-Type.", code="invalid_multipart"
        )
    mark = b"\r\n" + mark
    at += len(mark) - 2
    for _ in range(_PARTS_MAX):
        if body[at : at + 2] == b"--":
            return _read(body, found)
        head_end, end = body.find(b"\r\n\r\n", at), body.find(mark, at)
        if head_end < 0 or end < 0:
            raise InvalidRequest("The multipart body ends before its last boundary.", code="invalid_multipart")
        name = _NAME.search(body, at, min(head_end, end) + 2) if head_end < end else None
        if name and name[1] in (b"model", b"stream"):
            if name[1] in found:
                raise InvalidRequest(
                    f"Duplicate form field '{name[1].decode()}'.", code="duplicate_field", param=name[1].decode()
                )
            found[name[1]] = (head_end + 4, end)
        at = end + len(mark)
    raise InvalidRequest(f"The multipart body has more than {_PARTS_MAX} parts.", code="invalid_multipart")


def _read(body: bytes, found: dict[bytes, tuple[int, int]]) -> FormFields:
    start, end = found.get(b"model", (-1, -1))
    if end - start > _VALUE_MAX:
        raise InvalidRequest("The form field 'model' is too long.", code="invalid_value", param="model")
    try:
        model = body[start:end].decode() if start >= 0 else None
    except UnicodeDecodeError as exc:
        raise InvalidRequest("The form field 'model' is not UTF-8.", code="invalid_value", param="model") from exc
    streams = body[slice(*found[b"stream"])].strip().lower() in (b"true", b"1") if b"stream" in found else False
    return FormFields(model, start, end, streams)
