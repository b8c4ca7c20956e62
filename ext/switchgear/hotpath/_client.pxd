"""The classes of _client: what they hold, and who owns whom.

Pool -> Connection -> transport; Response -> Connection while its body is coming. A Connection points back at its
Response without a reference: a Response that nobody holds any more is finalised at once and closes its connection.
"""

cimport cython

from switchgear.hotpath._http1 cimport ChunkedDecoder, Facts

cdef class Connection
cdef class Pool


@cython.final
@cython.freelist(256)
cdef class Response:
    cdef readonly int status
    cdef readonly bytes reason
    cdef readonly list headers
    cdef readonly bytes body
    cdef readonly long long content_length
    cdef readonly bint event_stream
    cdef Connection conn            # None once the body is in, or will not come
    cdef object waiter              # the one future that somebody awaits: in send() or in read()
    cdef bint reading               # it is read()
    cdef bint headed                # the head is in
    cdef bint gathering             # send() waits for the whole body
    cdef bint ended                 # the body is in
    cdef bint closed                # by the owner
    cdef bint stale                 # failed because a reused connection was already gone
    cdef Exception error            # why the rest will not come
    cdef bytes first                # unread: the usual single piece
    cdef list more                  # unread: all pieces, when there are several
    cdef Py_ssize_t size            # unread bytes
    cdef bytes take(self)
    cdef void push(self, bytes piece)
    cdef void wake(self)
    cdef object wait(self)


@cython.final
cdef class Connection:
    cdef Pool pool
    cdef object transport
    cdef void* response             # the Response being received, not owned; NULL: none
    cdef int state
    cdef int mode
    cdef Py_ssize_t index           # in pool.open
    cdef long long uses             # requests sent so far
    cdef double born
    cdef double idle_since
    # this exchange
    cdef bint answered              # a byte of the answer came
    cdef bint body_started          # a byte of its body came
    cdef bint keep_alive
    cdef bint head_request
    cdef int informational          # 1xx answers so far
    cdef bytearray partial          # a head that is not whole yet
    cdef Py_ssize_t scanned         # bytes of `partial` searched for its end
    cdef bytes tail                 # what followed such a head
    cdef long long left             # of a body with a content-length
    cdef Py_ssize_t gather_bytes
    cdef ChunkedDecoder decoder
    cdef bint reading_paused
    cdef bint writing_paused
    cdef object upload              # task that writes a body that is an iterator
    cdef object drained             # future it waits on
    # timeouts
    cdef int phase
    cdef double phase_deadline      # 0: none
    cdef double total_deadline      # 0: none
    cdef double started
    cdef double first_byte_s
    cdef double idle_s
    cdef Py_ssize_t unsent          # transport's write buffer when the upload's deadline was set
    cdef bint write(self, object data) except -1
    cdef int begin(self, Response response, bytes head, object body, double now) except -1
    cdef int write_request(self, bytes head, bytes body) except -1
    cdef int receive(self, Response response, bytes data) except -1
    cdef Py_ssize_t read_head(self, Response response, bytes data) except -2
    cdef int head_arrived(self, Response response, Facts* facts) except -1
    cdef int read_body(self, Response response, bytes data, Py_ssize_t at) except -1
    cdef int body_arrived(self, Response response, bytes piece) except -1
    cdef int finish(self, Response response, bint excess) except -1
    cdef int pause(self) except -1
    cdef int resume(self) except -1
    cdef Response detach(self)
    cdef int fail(self, Exception error, bint stale=*) except -1
    cdef int broken(self, str what) except -1
    cdef int lost(self, bint clean) except -1
    cdef int drop(self) except -1
    cdef int stop_upload(self) except -1
    cdef int overdue(self, double now) except -1
    cdef int arm(self, int phase, double now) except -1
    cdef int disarm(self) except -1


@cython.final
cdef class Waiter:
    """A request that waits: in the queue for a connection or a free slot, or for its own connection to open."""
    cdef object future              # resolves to a Connection, None (a free slot) or an Exception
    cdef object task                # what opens the connection
    cdef double expires             # connect_s is over
    cdef double deadline            # 0: none
    cdef double started
    cdef double connect_s


@cython.final
cdef class Pool:
    cdef object loop
    cdef object time                # loop.time
    cdef object create_future       # loop.create_future
    cdef str host
    cdef int port
    cdef dict options               # of loop.create_connection
    cdef object store_session       # what keeps TLS sessions, or None
    cdef Py_ssize_t max_connections
    cdef Py_ssize_t max_waiters
    cdef double idle_s
    cdef double max_age_s
    cdef Py_ssize_t max_head_bytes
    cdef Py_ssize_t high_water_bytes
    cdef bint closing
    cdef Py_ssize_t slots           # connections open or being opened
    cdef list open                  # all open connections, in no order
    cdef list unused                # idle ones, the last used last
    cdef set opening                # Waiters that hold a slot
    cdef object queue               # Waiters that want one: OrderedDict, for O(1) at both ends and in the middle
    cdef Connection take_unused(self, double now)
    cdef int release(self, Connection conn) except -1
    cdef int forget(self, Connection conn) except -1
    cdef int free_slot(self) except -1
    cdef bint grant(self, Connection conn) except -1
    cdef int settle(self, Waiter waiter, object outcome) except -1
    cdef int give_back(self, Connection conn) except -1
    cdef int sweep_waiters(self, double now) except -1
