"""The whole of a common request, compiled. Interface and rules in src/switchgear/hotpath/_unary.pyi; reference: gateway.py.

Strategy: everything between the body's last byte and the upstream's socket is one call (`FastPath.begin`), everything
between the answer's last byte and the client's is another (`Unary.finish`), with one future between them. A request
that is not of the common kind is declined before anything was done; an answer that is not, is handed over to
the gateway together with what was done so far.
"""

from cpython.bytes cimport PyBytes_GET_SIZE

from switchgear.hotpath._client cimport Connection, Pool, Response
from switchgear.hotpath._estimate cimport Estimates
from switchgear.hotpath._head cimport Head
from switchgear.hotpath._journal cimport Journal
from switchgear.hotpath._leases cimport LimitSet, Reservation
from switchgear.hotpath._metrics cimport Slab
from switchgear.hotpath._peek cimport Reply, Request, peek_reply, peek_request, prepare, splice
from switchgear.hotpath._price cimport PriceTable
from switchgear.hotpath._score cimport TargetTable

import hmac
from hashlib import sha256
from random import random

from switchgear.hotpath._journal import JournalFull
from switchgear.hotpath._peek import PeekError
from switchgear.types import Usage

cdef object same_digest = hmac.compare_digest
cdef enum:
    MAX_LANES = 20000
    MAX_ACCOUNTS = 1024
    MAX_CHOICES = 128        # what is beyond is refused by upstreams; sums of it need not fit into 64 bits
    MAX_TOKENS = 1 << 24
    ARRAY = 91  # ord("[")


cdef class Account:
    """What the requests of one key to one target are counted by. limits: None where there are none.

    firm: whether a limit is among them of which the longest answer has to be reserved.
    """

    cdef readonly LimitSet limits
    cdef readonly object price
    cdef PriceTable table
    cdef bytes label
    cdef bint flagged
    cdef bint firm
    cdef double until

    def __init__(self, LimitSet limits, price, bytes label not None, double until, bint firm):
        self.limits = limits
        self.price = price
        self.table = price.table
        self.flagged = price.flagged
        self.label = label
        self.until = until
        self.firm = firm


cdef class Hop:
    """One target of a lane. starts: the rendered beginning of the request head, by credential name."""

    cdef readonly object target
    cdef readonly object upstream
    cdef object credentials
    cdef object alone         # the only credential, where there is one
    cdef Pool pool
    cdef bytes token
    cdef dict starts
    cdef dict accounts        # digest of a key and name of a credential -> Account
    cdef object render
    cdef readonly object codec  # None: bytes pass as they are
    cdef tuple slots  # of the metrics: requests, duration, attempts, input, output, and what counts the other tokens

    def __init__(self, target, upstream, Pool pool not None, bytes token, render, tuple slots not None, codec=None):
        self.target = target
        self.upstream = upstream
        self.credentials = upstream.credentials
        self.alone = upstream.credentials.pick(0.0) if len(upstream.credentials) == 1 else None
        self.pool = pool
        self.token = token
        self.render = render
        self.codec = codec
        self.slots = slots
        self.starts = {}
        self.accounts = {}

    cdef Account account(self, FastPath path, bytes digest, principal, str endpoint, str model, credential, double now):
        """None where requests of this kind are not for the compiled path."""
        cdef Account found
        key = digest if self.alone is not None else (digest, credential.name)
        found = self.accounts.get(key)
        if found is None or now >= found.until:
            found = path.find_account(principal, endpoint, model, self.target, credential.name)
            if found is None:
                return None
            while len(self.accounts) >= MAX_ACCOUNTS:
                self.accounts.pop(next(iter(self.accounts)))
            self.accounts[key] = found
        return found


cdef class Lane:
    """One model at one endpoint, as `FastPath` takes it. hops: one `Hop` a target, in the route's order."""

    cdef readonly object route
    cdef TargetTable table
    cdef list hops
    cdef bytes name           # the client's name for the model, as JSON
    cdef double first_token_s
    cdef double idle_s
    cdef double total_s
    cdef str model
    cdef bint needs_messages
    cdef bint generates
    cdef long long max_output_tokens

    def __init__(self, route, list hops not None, bytes name not None, str model not None, bint needs_messages,
                 bint generates):
        self.route = route
        self.table = route.table
        self.hops = hops
        self.name = name
        self.first_token_s = route.timeouts.first_token
        self.idle_s = route.timeouts.idle
        self.total_s = route.timeouts.total
        self.model = model
        self.needs_messages = needs_messages
        self.generates = generates
        self.max_output_tokens = route.max_output_tokens


cdef class FastPath:
    cdef dict keys            # SHA-256 of a key -> (the same, Principal)
    cdef dict lanes           # endpoint name -> {model: Lane}
    cdef object time
    cdef object create_future
    cdef object own           # names of headers that are not passed on
    cdef object answered      # Outcome.ANSWERED
    cdef Slab slab
    cdef tuple bounds
    cdef object read_usage
    cdef object find_account
    cdef Estimates estimates
    cdef object tags_of
    cdef object limit_headers
    cdef Journal journal
    cdef Py_ssize_t count
    cdef readonly Py_ssize_t gather_bytes

    def __init__(self, loop, dict keys not None, *, own, answered, Slab slab not None, tuple bounds not None, read_usage,
                 metering, tags_of, Py_ssize_t gather_bytes):
        self.time = loop.time
        self.keys = keys
        self.lanes = {}
        self.own = own
        self.answered = answered
        self.create_future = loop.create_future
        self.slab = slab
        self.bounds = bounds
        self.read_usage = read_usage
        self.find_account = metering.account
        self.estimates = metering.estimates
        self.limit_headers = metering.headers
        self.tags_of = tags_of
        self.journal = metering.ledger.journal if metering.ledger is not None else None
        self.gather_bytes = gather_bytes
        self.count = 0

    def learn(self, str endpoint not None, str model not None, Lane lane not None):
        if self.count < MAX_LANES:
            self.count += 1
            self.lanes.setdefault(endpoint, {})[model] = lane

    def knows(self, str endpoint not None, str model not None):
        return model in self.lanes.get(endpoint, ())

    def forget(self):
        self.lanes.clear()
        self.count = 0

    def begin(self, str endpoint not None, Head head not None, bytes body not None, bytes request_id not None, double started):
        cdef dict models = self.lanes.get(endpoint)
        cdef tuple known
        cdef Lane lane
        cdef Hop hop
        cdef Connection conn
        cdef Response response
        cdef Unary call
        cdef Account account
        cdef Reservation held = None
        cdef Py_ssize_t slot = -1
        cdef long long raw = 0, input_tokens = 0, output_tokens = 0, longest = 0, cost = 0, dearest = 0
        cdef double now
        cdef Py_ssize_t index
        cdef bytes start
        cdef Request peeked
        if models is None or head.forwarded or head.provider or head.strict or PyBytes_GET_SIZE(head.token) > 512:
            return None
        digest = sha256(head.token).digest()
        known = self.keys.get(digest)
        if known is None or not same_digest(known[0], digest):
            return None
        try:
            peeked = peek_request(body)
        except PeekError:
            return None
        model = peeked.model
        lane = models.get(model) if model is not None else None
        if lane is None or peeked.stream or peeked.signed or peeked.n > MAX_CHOICES or peeked.max_tokens > MAX_TOKENS:
            return None
        if lane.needs_messages and (peeked.messages_kind != ARRAY or peeked.messages_empty):
            return None
        principal = known[1]
        allowed = principal.models
        if allowed is not None and model not in allowed and not principal.may_use(model):
            return None
        if not lane.route.quiet:  # a target failed lately: who is tried next is the gateway's affair
            return None
        now = self.time()
        index = lane.table.pick(now, random())
        hop = <Hop>lane.hops[index]
        if hop.pool.closing or hop.credentials.troubled:
            return None
        credential = hop.alone if hop.alone is not None else hop.credentials.pick(now)
        account = hop.account(self, digest, principal, endpoint, model, credential, now)
        if account is None:
            return None
        asked = None
        if hop.codec is not None:
            asked = hop.codec.encode(body)
            if asked is None:  # what cannot be asked is refused by the gateway
                return None
        if account.limits is not None:
            raw = self.estimates.raw(model, body)
            input_tokens = self.estimates.upper(model, raw)
            if lane.generates:
                output_tokens = self.estimates.output(model, peeked.max_tokens, peeked.n)
        else:  # only for the row of a request that is killed
            input_tokens = PyBytes_GET_SIZE(body) // 4
            output_tokens = peeked.max_tokens * peeked.n if peeked.max_tokens > 0 else 0
        cost = dearest = account.table.upper(input_tokens, output_tokens)
        longest = output_tokens
        if account.firm and lane.generates and peeked.max_tokens < 0:
            longest = max(output_tokens, lane.max_output_tokens * peeked.n)
            dearest = account.table.upper(input_tokens, longest)
            if not account.limits.far(input_tokens, longest, dearest):  # to bound the answer is the gateway's affair
                return None
        if account.limits is not None:
            held = account.limits.take(now, 1, input_tokens, output_tokens, cost, longest, dearest)
            if held is None:  # to wait for the shared state, or to refuse, is the gateway's affair
                return None
        if self.journal is not None:
            try:
                tags = self.tags_of(head.tags, body) if head.tags or b'"metadata"' in body else b""
                slot = self.journal.open(
                    account.label, request_id, 1, tags=tags, input_tokens=input_tokens, output_tokens=longest,
                    cost_nanousd=dearest, unknown_price=account.flagged,
                )
            except JournalFull:
                if held is not None:
                    held.release()
                return None
            except BaseException:  # whatever goes wrong before anything is sent costs nothing
                if held is not None:
                    held.release()
                raise
        conn = hop.pool.take_unused(now)
        if conn is None:
            if held is not None:
                held.release()
            if slot >= 0:
                self.journal.abandon(slot)
            return None
        start = hop.starts.get(credential.name)
        if start is None:
            start = hop.starts[credential.name] = hop.render(credential)
        if asked is None:
            outgoing = body if hop.token is None else prepare(body, peeked, hop.token, False)
            content_type = head.content_type or b"application/json"
        else:
            outgoing = asked.body
            content_type = b"application/json"
        length = b"%d" % PyBytes_GET_SIZE(outgoing)
        response = Response.__new__(Response)
        conn.first_byte_s = lane.first_token_s
        conn.idle_s = lane.idle_s
        conn.started = started
        conn.total_deadline = started + lane.total_s
        conn.gather_bytes = self.gather_bytes
        conn.head_request = False
        conn.begin(
            response,
            b"".join((start, b"Content-Type: ", content_type, b"\r\nContent-Length: ", length, b"\r\nX-Request-ID: ", request_id, b"\r\n\r\n")),
            outgoing,
            now,
        )
        call = Unary.__new__(Unary)
        call.path = self
        call.lane = lane
        call.hop = hop
        call.index = index
        call.response = response
        call.principal = principal
        call.peeked = peeked
        call.asked = asked
        call.credential = credential
        call.started = started
        call.account = account
        call.held = held
        call.slot = slot
        call.length = PyBytes_GET_SIZE(body)
        call.raw = raw
        call.input_tokens = input_tokens
        call.output_tokens = output_tokens
        call.longest = longest
        call.waiter = self.create_future() if response.error is None else None
        response.waiter = call.waiter
        return call


cdef class Unary:
    cdef FastPath path
    cdef Lane lane
    cdef Hop hop
    cdef double started
    cdef readonly Account account
    cdef readonly Reservation held
    cdef readonly Py_ssize_t slot
    cdef readonly long long raw    # input tokens as estimated before calibration
    cdef readonly long long input_tokens
    cdef readonly long long output_tokens
    cdef readonly long long longest
    cdef readonly bint settled
    cdef Py_ssize_t length    # of the client's body
    cdef readonly Py_ssize_t index
    cdef readonly Response response
    cdef readonly object principal
    cdef readonly Request peeked
    cdef readonly object credential
    cdef readonly object asked     # what `Hop.codec` made of the request
    cdef readonly object waiter
    cdef readonly object usage
    cdef readonly list headers
    cdef readonly bytes body

    @property
    def route(self):
        return self.lane.route

    @property
    def target(self):
        return self.hop.target

    @property
    def upstream(self):
        return self.hop.upstream

    @property
    def codec(self):
        return self.hop.codec

    @property
    def error(self):
        cdef Response response = self.response
        if response.headed and not response.gathering:
            return None
        return response.error

    @property
    def stale(self):
        return self.response.stale

    def abandon(self):
        self.response.close()

    def finish(self, list extra not None):
        cdef Response response = self.response
        cdef FastPath path = self.path
        cdef bytes body = response.body
        cdef tuple pair
        cdef list headers
        cdef bint json = False
        cdef Reply found
        if body is None or response.status != 200 or response.error is not None or not body:
            return False
        if self.asked is not None:
            made = self.hop.codec.decode(self.asked, response)
            if made is None:
                return False
            self.usage = made[1]
            self.end(made[2], made[0], extra)
            return True
        headers = []
        for item in response.headers:
            pair = <tuple>item
            if pair[0] == b"content-type":
                json = pair[1] == b"application/json" or (<bytes>pair[1]).startswith(b"application/json;")
            elif pair[0] == b"content-encoding":
                return False
            if pair[0] not in path.own:
                headers.append(pair)
            elif pair[0] == b"x-request-id":
                headers.append((b"x-switchgear-upstream-request-id", pair[1]))
        if not json:
            return False
        try:
            found = peek_reply(body)
        except PeekError:
            return False
        if found.error_start >= 0 and found.choices_start < 0:
            return False
        if found.usage_start >= 0:
            self.usage = path.read_usage(
                body[found.usage_start : found.usage_end],
                body[found.tier_start : found.tier_end] if found.tier_start >= 0 else b"",
            )
        if self.hop.token is not None and found.model_start >= 0:
            body = splice(body, found.model_start, found.model_end, self.lane.name)
        self.end(headers, body, extra)
        return True

    cdef int end(self, list headers, bytes body, list extra) except -1:
        """A good answer: counted, and its headers completed."""
        cdef FastPath path = self.path
        cdef double now
        cdef long long cost
        headers.append((b"x-switchgear-target", self.hop.target.header))
        headers.append((b"x-switchgear-attempts", b"1"))
        now = path.time()
        cost = self.settle(now, PyBytes_GET_SIZE(body))
        if self.account.limits is not None:
            own = path.limit_headers(self.account.limits, "openai")
            if own:
                headers = [pair for pair in headers if b"ratelimit-" not in pair[0]] + own
        headers.append((b"x-switchgear-cost-nanousd", b"%d" % cost))
        headers += extra
        headers.append((b"content-length", b"%d" % PyBytes_GET_SIZE(body)))
        self.headers = headers
        self.body = body
        if not self.lane.route.quiet:
            self.lane.route.report(self.index, path.answered, now)
        self.count(now)
        return 0

    cdef long long settle(self, double now, Py_ssize_t size) except -1:
        """The row, before the client can have its answer, and what was reserved. Returns the cost in nano-dollars."""
        cdef Account account = self.account
        cdef double total_ms = (now - self.started) * 1000.0
        cdef long long cost, given, made
        self.settled = True
        usage = self.usage
        if usage is None:
            given, made = self.length // 4, size // 4 if self.lane.generates else 0
            if account.limits is not None:
                given = min(given, self.input_tokens)
            if account.firm or self.peeked.max_tokens >= 0:  # it cannot have been longer
                made = min(made, self.longest)
            usage = self.usage = Usage(given, made, estimated=True)
        cost = account.table.cost(usage)
        if self.held is not None:
            self.held.settle(usage.input_tokens, usage.output_tokens, cost)
            if not usage.estimated:
                self.path.estimates.observe(
                    self.lane.model, self.raw, usage.input_tokens, usage.output_tokens, self.peeked.n
                )
        if self.slot >= 0:
            self.path.journal.append(self.slot, 200, usage, cost, "", total_ms, total_ms)
        return cost

    cdef int count(self, double now) except -1:
        cdef tuple slots = self.hop.slots
        cdef Slab slab = self.path.slab
        slab.add(slots[0])
        slab.observe(slots[1], self.path.bounds, now - self.started)
        slab.add(slots[2])
        usage = self.usage
        if usage is not None:
            if usage.input_tokens:
                slab.add(slots[3], usage.input_tokens)
            if usage.output_tokens:
                slab.add(slots[4], usage.output_tokens)
            if usage.cached_tokens or usage.reasoning_tokens or usage.cache_write_tokens:
                slots[5](usage)
        return 0
