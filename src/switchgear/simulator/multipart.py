"""multipart/form-data out of bytes (RFC 7578): small, strict about the boundary, whole bodies only."""

from __future__ import annotations

import re

from switchgear.errors import InvalidRequest

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))', re.IGNORECASE)
_NAME = re.compile(rb';\s*name="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FILENAME = re.compile(rb';\s*filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


class Upload:
    """A file in a form."""

    __slots__ = ("content", "content_type", "filename")

    def __init__(self, filename: str, content_type: str, content: bytes):
        self.filename = filename
        self.content_type = content_type
        self.content = content


class Form:
    """The fields of a form: text by name (the last one wins), uploads in order."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.uploads: list[tuple[str, Upload]] = []

    def text(self, name: str) -> str:
        """A text field, "" when absent."""
        return self.fields.get(name, "")

    def upload(self, name: str) -> Upload | None:
        """The first upload with this name (or `name[]`), or None."""
        return next((upload for key, upload in self.uploads if key in (name, f"{name}[]")), None)


def parse_form(content_type: str, body: bytes) -> Form:
    """The form in `body`. Raises `InvalidRequest`."""
    found = _BOUNDARY.search(content_type)
    if not found:
        raise InvalidRequest("Could not parse multipart form: no boundary.")
    delimiter = b"--" + (found[1] or found[2]).encode("latin-1")
    parts = (b"\r\n" + body).split(b"\r\n" + delimiter)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise InvalidRequest("Could not parse multipart form: the closing boundary is missing.")
    form = Form()
    for part in parts[1:-1]:
        _add(form, part)
    return form


def _add(form: Form, part: bytes) -> None:
    start = part.find(b"\r\n")
    if part.startswith(b"\r\n\r\n"):
        raise InvalidRequest("Could not parse multipart form: a part has no headers.")
    head, blank, content = part[start + 2 :].partition(b"\r\n\r\n")
    name = filename = None
    content_type = "text/plain"
    for line in head.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.strip().lower() == b"content-disposition":
            name, filename = _NAME.search(value), _FILENAME.search(value)
        elif key.strip().lower() == b"content-type":
            content_type = value.strip().decode("latin-1")
    if not blank or name is None:
        raise InvalidRequest("Could not parse multipart form: a part has no name.")
    key_text = name[1].decode("utf-8", "replace")
    if filename is None:
        form.fields[key_text] = content.decode("utf-8", "replace")
    else:
        form.uploads.append((key_text, Upload(filename[1].decode("utf-8", "replace"), content_type, content)))
