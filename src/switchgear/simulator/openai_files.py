"""/v1/files: upload, list, get, content, delete. Kept in memory; the oldest go when the caps are reached."""

from __future__ import annotations

from urllib.parse import parse_qs

from switchgear.errors import InvalidRequest, NotFound
from switchgear.simulator.answer import Answer, json_answer
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.validation import not_among

_PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")


def create(exchange: Exchange) -> Answer:
    """multipart with `file` and `purpose`. Raises `InvalidRequest`."""
    upload, purpose = exchange.form.upload("file"), exchange.form.text("purpose")
    for name, given in (("file", upload), ("purpose", purpose)):
        if not given:
            raise InvalidRequest(
                f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
            )
    if purpose not in _PURPOSES:
        raise not_among("purpose", purpose, _PURPOSES)
    assert upload is not None  # noqa: S101 - checked above
    described: Json = {
        "id": exchange.id("file-"),
        "object": "file",
        "bytes": len(upload.content),
        "created_at": exchange.now,
        "expires_at": None,
        "filename": upload.filename,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
    }
    exchange.store.files.put(described["id"], (described, upload.content), len(upload.content))
    return json_answer(described)


def listing(exchange: Exchange) -> Answer:
    """Newest first; `purpose`, `limit` and `after` as OpenAI takes them."""
    query = parse_qs(exchange.head.query)
    purpose = query.get("purpose", [""])[0]
    found = [file for file, _ in exchange.store.files.newest_first() if not purpose or file["purpose"] == purpose]
    return json_answer(page(found, query))


def page(items: list[Json], query: dict[str, list[str]]) -> Json:
    """One page of a list: `after` an id, `limit` entries. Raises `InvalidRequest` for a limit that is not a number."""
    after, limit = query.get("after", [""])[0], query.get("limit", ["10000"])[0]
    if not limit.isdigit():
        raise InvalidRequest(f"Invalid value for 'limit': '{limit}'.", param="limit", code="invalid_value")
    start = next((index + 1 for index, item in enumerate(items) if item["id"] == after), 0)
    shown = items[start : start + int(limit)]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(items) > start + len(shown),
    }


def retrieve(exchange: Exchange) -> Answer:
    """What is known of a file. Raises `NotFound`."""
    return json_answer(_stored(exchange)[0])


def content(exchange: Exchange) -> Answer:
    """A file's bytes. Raises `NotFound`."""
    described, data = _stored(exchange)
    disposition = f'attachment; filename="{described["filename"]}"'.encode("ascii", "replace")
    disposition = disposition.replace(b"\r", b"").replace(b"\n", b"")
    return Answer(data, content_type=b"application/octet-stream", headers=[(b"content-disposition", disposition)])


def delete(exchange: Exchange) -> Answer:
    """Raises `NotFound`."""
    _stored(exchange)
    exchange.store.files.pop(exchange.path_id)
    return json_answer({"id": exchange.path_id, "object": "file", "deleted": True})


def _stored(exchange: Exchange) -> tuple[Json, bytes]:
    found = exchange.store.files.get(exchange.path_id)
    if found is None:
        raise NotFound(f"No such File object: {exchange.path_id}", param="id", code="not_found")
    return found
