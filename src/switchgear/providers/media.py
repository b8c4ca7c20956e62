"""Data URLs (RFC 2397) and media types of content parts (TRANSLATION §2.2)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from switchgear.errors import InvalidRequest
from switchgear.wire.conversation import Media

if TYPE_CHECKING:
    from switchgear.wire.conversation import MediaKind

ANTHROPIC_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_ALIASES = {"image/jpg": "image/jpeg", "audio/mpeg": "audio/mp3", "audio/x-wav": "audio/wav", "audio/wave": "audio/wav"}
_EXTENSIONS = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp",
    "pdf": "application/pdf", "txt": "text/plain", "mp4": "video/mp4", "mp3": "audio/mp3", "wav": "audio/wav",
    "heic": "image/heic", "heif": "image/heif",
}  # fmt: skip


def is_data_url(url: str) -> bool:
    """Whether the URL carries its content; schemes are case-insensitive (RFC 3986 §3.1)."""
    return url[:5].lower() == "data:"


def parse_data_url(url: str, param: str) -> tuple[str, str]:
    """(media type without parameters, content in base64) of a data URL, base64 or percent-encoded.

    The type defaults to `text/plain`; whitespace inside base64 is taken out. Raises `InvalidRequest`.
    """
    head, comma, content = url[5:].partition(",")
    if not comma:
        raise InvalidRequest("Invalid data URL: it has no comma.", param=param, code="invalid_image_url")
    media_type, *parameters = head.split(";")
    media_type = media_type.strip().lower() or "text/plain"
    if not any(parameter.strip().lower() == "base64" for parameter in parameters):
        data = base64.b64encode(unquote_to_bytes(content)).decode()
    else:
        data = unquote_to_bytes(content).decode("ascii", "replace") if "%" in content else content
        if not data.isascii() or any(c.isspace() for c in data[:128]) or data[-1:].isspace() or "\n" in data:
            data = "".join(data.split())
        if "-" in data or "_" in data:
            data = data.replace("-", "+").replace("_", "/")
    return _ALIASES.get(media_type, media_type), data


def media_from_url(kind: MediaKind, url: str, param: str, **more: object) -> Media:
    """A part whose content is a data URL or stands behind a URL."""
    if is_data_url(url):
        media_type, data = parse_data_url(url, param)
        return Media(kind=kind, media_type=media_type, data=data, **more)  # type: ignore[arg-type]  # checked by callers
    return Media(kind=kind, url=url, media_type=guess_type(url), **more)  # type: ignore[arg-type]  # as above


def data_url(media: Media) -> str:
    """The content as a data URL."""
    if media.text is not None:
        return f"data:text/plain;base64,{base64.b64encode(media.text.encode()).decode()}"
    return f"data:{media.media_type or 'application/octet-stream'};base64,{media.data or ''}"


def decoded_text(media: Media, param: str) -> str:
    """The text of a `text/*` document. Raises `InvalidRequest` when it is not base64 of UTF-8."""
    if media.text is not None:
        return media.text
    try:
        return base64.b64decode(media.data or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise InvalidRequest("The file's content is not UTF-8 text in base64.", param=param) from exc


def guess_type(url: str) -> str:
    """Media type by the extension of a URL's path, "" when it tells nothing."""
    path = url.partition("?")[0].partition("#")[0]
    return _EXTENSIONS.get(path.rpartition(".")[2].lower(), "")


def canonical_type(media_type: str) -> str:
    """The registered spelling: `image/jpg` → `image/jpeg`."""
    media_type = media_type.partition(";")[0].strip().lower()
    return _ALIASES.get(media_type, media_type)


def kind_of(media_type: str) -> MediaKind:
    """What a media type is."""
    head = media_type.partition("/")[0]
    if head == "image":
        return "image"
    if head == "audio":
        return "audio"
    if head == "video":
        return "video"
    return "document"
