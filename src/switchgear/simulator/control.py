"""The control API, on the same port below `/_sim/`.

It asks for no key and shows what clients sent, credentials included: for tests, not for the world.

GET, PUT, DELETE faults   the fault rules (`faults`)
GET, DELETE requests      the last requests (`journal`)
GET stats                 counters
GET image.png             the picture that generated URLs point to
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from switchgear.errors import MethodNotAllowed, NotFound
from switchgear.simulator.answer import Answer, json_answer
from switchgear.simulator.routes import IMAGE_FILE

if TYPE_CHECKING:
    from switchgear.simulator.exchange import Exchange
    from switchgear.simulator.service import Service

PREFIX = "/_sim/"
_ALLOWED = {
    "/_sim/faults": ("GET", "PUT", "DELETE"),
    "/_sim/requests": ("GET", "DELETE"),
    "/_sim/stats": ("GET",),
    "/_sim/image.png": ("GET",),
}


def respond(service: Service, exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`, `MethodNotAllowed`."""
    path, method = exchange.head.raw_path, exchange.head.method
    allowed = _ALLOWED.get(path)
    if allowed is None:
        raise NotFound(f"Invalid URL ({method} {path})")
    if method not in allowed:
        raise MethodNotAllowed(f"Not allowed to {method} on {path}.", allow=", ".join(allowed))
    if path == "/_sim/image.png":
        return IMAGE_FILE.handler(exchange)
    if path == "/_sim/stats":
        return json_answer(msgspec.to_builtins(service.stats), bare=True)
    if path == "/_sim/requests":
        return _requests(service, method)
    return _faults(service, exchange)


def _requests(service: Service, method: str) -> Answer:
    if method == "DELETE":
        service.journal.records.clear()
        return json_answer({"deleted": True}, bare=True)
    return json_answer([record.as_json() for record in service.journal.records], bare=True)


def _faults(service: Service, exchange: Exchange) -> Answer:
    method = exchange.head.method
    if method == "PUT":
        service.faults.replace(exchange.body)
    elif method == "DELETE":
        service.faults.clear()
    return json_answer(service.faults.listing(), bare=True)
