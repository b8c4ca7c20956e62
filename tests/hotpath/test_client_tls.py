"""TLS towards the upstream: verification, server name, session reuse, our own certificate."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from switchgear.errors import UpstreamUnreachable
from switchgear.upstream.tls import MAX_SESSIONS, ClientContext, client_context
from tests.hotpath.conftest import MakePool
from tests.hotpath.upstream import BODY, EVENTS, OK, REQUEST, Peer, answering, chunk, serving

CLOSING = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def server_context(authority: trustme.CA, name: str = "upstream.test") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_verified_with_the_server_name_sent(make_pool: MakePool, authority: trustme.CA, ca_file: str) -> None:
    names = []
    context = server_context(authority)
    context.sni_callback = lambda connection, name, _: names.append(name)
    async with serving(answering(OK), tls=context) as upstream:
        pool = make_pool(upstream.port, ssl=client_context(ca_file=ca_file), server_hostname="upstream.test")
        for _ in range(3):
            assert (await pool.send(REQUEST, BODY, gather_bytes=100)).body == b"hello"
        assert len(upstream.peers) == 1
    assert names == ["upstream.test"]


async def test_the_server_name_is_the_host_where_none_is_given(
    make_pool: MakePool, authority: trustme.CA, ca_file: str
) -> None:
    async with serving(answering(OK), tls=server_context(authority, "localhost")) as upstream:
        pool = make_pool(upstream.port, "localhost", ssl=client_context(ca_file=ca_file))
        assert (await pool.send(REQUEST, BODY, gather_bytes=100)).body == b"hello"


@pytest.mark.parametrize("case", ["unknown authority", "wrong name"])
async def test_a_certificate_that_does_not_verify(
    make_pool: MakePool, authority: trustme.CA, ca_file: str, case: str
) -> None:
    async with serving(answering(OK), tls=server_context(authority)) as upstream:
        context = client_context(ca_file=ca_file) if case == "wrong name" else client_context()
        name = "other.test" if case == "wrong name" else "upstream.test"
        pool = make_pool(upstream.port, ssl=context, server_hostname=name)
        with pytest.raises(UpstreamUnreachable) as caught:
            await pool.send(REQUEST, BODY)
        assert str(caught.value) == "The upstream's TLS certificate could not be verified."
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        assert pool.connections == 0


async def test_verification_off(make_pool: MakePool, authority: trustme.CA) -> None:
    async with serving(answering(OK), tls=server_context(authority)) as upstream:
        pool = make_pool(upstream.port, ssl=client_context(verify=False), server_hostname="any.test")
        assert (await pool.send(REQUEST, BODY, gather_bytes=100)).body == b"hello"


async def test_a_server_that_does_not_speak_tls(make_pool: MakePool) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(script) as upstream:
        pool = make_pool(upstream.port, ssl=client_context(verify=False))
        with pytest.raises(UpstreamUnreachable, match=r"^The TLS handshake with the upstream failed\.$"):
            await pool.send(REQUEST, BODY)
        assert pool.connections == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_second_connection_resumes_the_session(
    make_pool: MakePool, authority: trustme.CA, ca_file: str, version: ssl.TLSVersion
) -> None:
    reused = []

    async def script(peer: Peer) -> None:
        await peer.request()
        reused.append(peer.writer.get_extra_info("ssl_object").session_reused)
        peer.write(CLOSING)
        await peer.closed()

    server = server_context(authority)
    server.minimum_version = server.maximum_version = version
    async with serving(script, tls=server) as upstream:
        context = client_context(ca_file=ca_file)
        pool = make_pool(upstream.port, ssl=context, server_hostname="upstream.test")
        for _ in range(3):
            assert (await pool.send(REQUEST, BODY, gather_bytes=100)).body == b"hello"
        assert reused == [False, True, True]
        # Another context trusts other things: it starts anew.
        pool = make_pool(upstream.port, ssl=client_context(ca_file=ca_file), server_hostname="upstream.test")
        await pool.send(REQUEST, BODY, gather_bytes=100)
        assert reused[3:] == [False]


async def test_a_session_is_offered_to_its_own_host_only(
    make_pool: MakePool, authority: trustme.CA, ca_file: str
) -> None:
    reused = []

    async def script(peer: Peer) -> None:
        await peer.request()
        reused.append(peer.writer.get_extra_info("ssl_object").session_reused)
        peer.write(CLOSING)
        await peer.closed()

    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("one.test", "two.test").configure_cert(server)
    async with serving(script, tls=server) as upstream:
        context = client_context(ca_file=ca_file)
        for name in ("one.test", "two.test", "one.test"):
            pool = make_pool(upstream.port, ssl=context, server_hostname=name)
            await pool.send(REQUEST, BODY, gather_bytes=100)
    assert reused == [False, False, True]


async def test_streams_and_cancellation_over_tls(make_pool: MakePool, authority: trustme.CA, ca_file: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(EVENTS + chunk(b"data: 1\n\n"))
        await peer.closed()

    async with serving(script, tls=server_context(authority)) as upstream:
        pool = make_pool(upstream.port, ssl=client_context(ca_file=ca_file), server_hostname="upstream.test")
        response = await pool.send(REQUEST, BODY)
        assert await response.read() == b"data: 1\n\n"
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)


async def test_a_large_body_over_tls_with_back_pressure(
    make_pool: MakePool, authority: trustme.CA, ca_file: str
) -> None:
    body = bytes(range(256)) * 40_000
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    async with serving(answering(answer), tls=server_context(authority)) as upstream:
        pool = make_pool(
            upstream.port, ssl=client_context(ca_file=ca_file), server_hostname="upstream.test", high_water_bytes=1000
        )
        for _ in range(2):
            assert await (await pool.send(REQUEST, BODY)).read_all(len(body)) == body
        assert len(upstream.peers) == 1


async def test_our_own_certificate(make_pool: MakePool, authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    server = server_context(authority)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    ours = authority.issue_cert("client.test")
    ours.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    async with serving(answering(OK), tls=server) as upstream:
        context = client_context(ca_file=ca_file, certificate_file=str(tmp_path / "client.pem"))
        pool = make_pool(upstream.port, ssl=context, server_hostname="upstream.test")
        assert (await pool.send(REQUEST, BODY, gather_bytes=100)).body == b"hello"


class Connection:
    def __init__(self, server_hostname: str | None, session: object):
        self.server_hostname = server_hostname
        self.session = session


def test_sessions_are_bounded() -> None:
    context = client_context(verify=False)
    context.store_session(None)
    context.store_session(Connection("a.test", None))
    context.store_session(Connection(None, object()))
    assert context._sessions == {}
    for number in range(MAX_SESSIONS + 10):
        context.store_session(Connection(f"host-{number}.test", object()))
    assert list(context._sessions) == [f"host-{number}.test" for number in range(10, MAX_SESSIONS + 10)]
    assert isinstance(context, ClientContext)
