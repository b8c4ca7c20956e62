# Opening a TCP connection: resolve, race the addresses, hand the socket to the loop.
#
# Done step by step and not by one `create_connection(host, port)`, because uvloop tries addresses one after the other
# (an address that swallows packets uses up connect_s), and because asyncio, cancelled in the turn in which the TLS
# handshake is about to begin, forgets the socket open. Here somebody owns the socket at every await.

cdef double NEXT_ADDRESS_S = 0.25       # RFC 8305 §5: how long one address has before the next one is tried as well
cdef enum:
    MAX_ADDRESSES = 16


async def resolve(loop, str host, int port):
    """[(family, address)], in the order of the resolver, at most MAX_ADDRESSES. Raises socket.gaierror."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, (host, port))]
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(entry[0], entry[4]) for entry in found[:MAX_ADDRESSES]]


async def connect_one(loop, int family, address):
    """A connected, non-blocking socket."""
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def connect_any(loop, list addresses):
    """The first socket that connects, each address given a head start over the next. Raises the first error of all."""
    cdef set attempts = set()
    cdef list waiting = list(addresses)
    first_error = None
    try:
        while waiting or attempts:
            if waiting:
                attempts.add(loop.create_task(connect_one(loop, *waiting.pop(0))))
            done, attempts = await asyncio.wait(
                attempts, timeout=NEXT_ADDRESS_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    attempts |= done - {attempt}
                    return attempt.result()
                first_error = first_error or error
                if not isinstance(error, OSError):
                    raise error
        raise first_error or OSError("the name has no address")
    finally:
        for attempt in attempts:
            attempt.add_done_callback(discard)
            attempt.cancel()


def discard(attempt):
    """A connection attempt that lost the race: close what it opened after all."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


async def open_connection(loop, factory, str host, int port, dict options):
    """(transport, protocol), as `loop.create_connection`."""
    cdef list addresses = await resolve(loop, host, port)
    if len(addresses) == 1:
        sock = await connect_one(loop, *addresses[0])
    else:
        sock = await connect_any(loop, addresses)
    try:
        return await loop.create_connection(factory, sock=sock, **options)
    except BaseException:
        # The loop owns it by now and closes it, except as said above: an end of file makes it do so there too.
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass    # closed or not connected any more
        raise
