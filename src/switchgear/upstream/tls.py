"""TLS towards upstreams: verified by default, with sessions kept so that a second connection skips the full handshake.

asyncio and uvloop both wrap a connection with `SSLContext.wrap_bio` and give no way to pass a session, so the context
does it: it remembers the last session of each host name and offers it to the next connection. Sessions are bound to the
context they were made with; a changed CA or client certificate means a new context and so no old session.
"""

from __future__ import annotations

import ssl
from typing import Any

MAX_SESSIONS = 256  # host names remembered; the one stored longest ago goes first


class ClientContext(ssl.SSLContext):
    """An `SSLContext` for clients that resumes sessions. Made by `client_context`."""

    _sessions: dict[str, ssl.SSLSession]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As `ssl.SSLContext.wrap_bio`, offering the host's last session where none is given."""
        if session is None and isinstance(server_hostname, str):
            session = self._sessions.get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def store_session(self, connection: Any) -> None:
        """Keep the session of an `ssl.SSLObject` after its first answer (TLS 1.3 tickets follow the handshake).

        `Any`: uvloop and asyncio both hand out the object untyped. None is taken and ignored.
        """
        if connection is None or not isinstance(connection.server_hostname, str):
            return
        session = connection.session
        if session is None:
            return
        host = connection.server_hostname
        self._sessions.pop(host, None)
        self._sessions[host] = session
        if len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]


def client_context(
    *,
    verify: bool = True,
    ca_file: str | None = None,
    certificate_file: str | None = None,
    key_file: str | None = None,
    key_password: str | None = None,
) -> ClientContext:
    """A context for connections to upstreams: TLS 1.2 or later, HTTP/1.1 by ALPN.

    verify: check the certificate and its host name. ca_file: PEM file to trust instead of the system's store.
    certificate_file, key_file, key_password: our own certificate, where the upstream asks for one.
    Raises OSError or ssl.SSLError when a file cannot be used.
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    context._sessions = {}
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if certificate_file is not None:
        context.load_cert_chain(certificate_file, key_file, key_password)
    return context
