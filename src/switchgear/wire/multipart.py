"""Finding small fields in a multipart/form-data body (RFC 7578) without taking it apart.

The body goes on as it came, boundary and all; only the value of `model` may be spliced. What is checked here must be
what the upstream reads, or a key that is limited to some models is not: so whatever two parsers could read in two ways
(a second boundary or disposition, a folded line, an extended or escaped name) is refused.
"""

from __future__ import annotations

import re

from switchgear.errors import InvalidRequest
from switchgear.types import FormFields

_BOUNDARY = re.compile(rb';[ \t]*boundary=(?:"([^"\\\r\n]{1,70})"|([^\s;"]{1,70}))(?=[ \t]*(?:;|$))', re.IGNORECASE)
_DISPOSITION = re.compile(rb"content-disposition[ \t]*:", re.IGNORECASE)
_PARAMETER = re.compile(rb';[ \t]*([^\s;="]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))[ \t]*', re.DOTALL)
_PARTS_MAX = 256
_HEAD_MAX = 8192
_VALUE_MAX = 1024


def boundary(content_type: bytes) -> bytes:
    """The boundary of a multipart content type. Raises `InvalidRequest` when there is none, or more than one."""
    found = _BOUNDARY.findall(content_type)
    if len(found) != 1 or content_type.lower().count(b"boundary=") != 1:
        raise _invalid("The multipart Content-Type has no boundary, or more than one.")
    quoted, bare = found[0]
    return bytes(quoted or bare)


def find_fields(body: bytes, content_type: bytes) -> FormFields:
    """`model`, `stream` and `n` of a form. Raises `InvalidRequest`: not a form, too many parts, a field
    twice or not text."""
    mark = b"--" + boundary(content_type)
    found: dict[bytes, tuple[int, int]] = {}
    at = body.find(mark)
    if at < 0 or (at > 0 and body[at - 2 : at] != b"\r\n"):
        raise _invalid("The body is not multipart/form-data with the boundary of its Content-Type.")
    mark = b"\r\n" + mark
    at += len(mark) - 2
    for _ in range(_PARTS_MAX):
        if body[at : at + 2] == b"--":
            return _read(body, found)
        head_end, end = body.find(b"\r\n\r\n", at), body.find(mark, at)
        if head_end < 0 or end < 0:
            raise _invalid("The multipart body ends before its last boundary.")
        if body[at : at + 2] != b"\r\n" or head_end > end or head_end - at > _HEAD_MAX:
            raise _invalid("A part of the multipart body has no head, or one that is too long.")
        name = _field_name(body[at + 2 : head_end])
        if name in (b"model", b"stream", b"n"):
            if name in found:
                raise InvalidRequest(
                    f"Duplicate form field '{name.decode()}'.", code="duplicate_field", param=name.decode()
                )
            found[name] = (head_end + 4, end)
        at = end + len(mark)
    raise _invalid(f"The multipart body has more than {_PARTS_MAX} parts.")


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_multipart")


def _field_name(head: bytes) -> bytes:
    """The field's name in a part's header lines. Raises `InvalidRequest` where it cannot be told for certain."""
    lines = head.split(b"\r\n")
    dispositions = [line for line in lines if _DISPOSITION.match(line)]
    if len(dispositions) != 1 or any(line[:1] in b" \t" or b"\n" in line or b"\r" in line for line in lines):
        raise _invalid("A part of the multipart body needs one Content-Disposition, on a line of its own.")
    kind, separator, parameters = dispositions[0].partition(b":")[2].partition(b";")
    if kind.strip(b" \t").lower() != b"form-data":
        raise _invalid("A part of the multipart body is not form-data.")
    parameters, at, names = separator + parameters, 0, []
    while at < len(parameters):
        parameter = _PARAMETER.match(parameters, at)
        if parameter is None:
            raise _invalid("A Content-Disposition of the multipart body is malformed.")
        if parameter[1].lower() in (b"name", b"name*"):
            names.append(parameter)
        at = parameter.end()
    if len(names) != 1 or names[0][1].lower() != b"name" or b"\\" in (names[0][2] or b""):
        raise _invalid("A part of the multipart body needs one plain field name.")
    return bytes(names[0][2] if names[0][2] is not None else names[0][3])


def _read(body: bytes, found: dict[bytes, tuple[int, int]]) -> FormFields:
    start, end = found.get(b"model", (-1, -1))
    if end - start > _VALUE_MAX:
        raise InvalidRequest("The form field 'model' is too long.", code="invalid_value", param="model")
    try:
        model = body[start:end].decode() if start >= 0 else None
    except UnicodeDecodeError as exc:
        raise InvalidRequest("The form field 'model' is not UTF-8.", code="invalid_value", param="model") from exc
    streams = body[slice(*found[b"stream"])].strip().lower() in (b"true", b"1") if b"stream" in found else False
    number = body[slice(*found[b"n"])].strip()[:9] if b"n" in found else b""
    return FormFields(model, start, end, streams, max(1, int(number)) if number.isdigit() else 1)
