# A growable byte buffer. Output, held-back input and accumulated text live here, outside the Python heap.


cdef Py_ssize_t KEEP = 1 << 16  # capacity kept between uses, bytes: one huge event must not pin its memory for the whole stream


cdef class Buffer:
    cdef char* p
    cdef Py_ssize_t n
    cdef Py_ssize_t cap

    def __cinit__(self):
        self.p = NULL
        self.n = 0
        self.cap = 0

    def __dealloc__(self):
        free(self.p)

    cdef int room(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t want = self.n + more
        cdef Py_ssize_t cap
        cdef char* p
        if want <= self.cap:
            return 0
        cap = self.cap * 2 if self.cap else 512
        if cap < want:
            cap = want
        p = <char*>realloc(self.p, cap)
        if p == NULL:
            raise MemoryError
        self.p = p
        self.cap = cap
        return 0

    cdef inline int put(self, const char* s, Py_ssize_t n) except -1:
        if self.n + n > self.cap:
            self.room(n)
        if n:
            memcpy(self.p + self.n, s, n)
            self.n += n
        return 0

    cdef inline int add(self, bytes b) except -1:
        return self.put(PyBytes_AS_STRING(b), PyBytes_GET_SIZE(b))

    cdef int line(self, const char* s, Py_ssize_t n) except -1:
        """Copy JSON onto one line: a line end can only stand between tokens."""
        cdef Py_ssize_t i
        self.room(n)
        for i in range(n):
            if s[i] != 10 and s[i] != 13:
                self.p[self.n] = s[i]
                self.n += 1
        return 0

    cdef int number(self, long long v) except -1:
        cdef char tmp[24]
        cdef int i = 24
        cdef unsigned long long u = <unsigned long long>(-v if v < 0 else v)
        while True:
            i -= 1
            tmp[i] = <char>(48 + u % 10)
            u //= 10
            if u == 0:
                break
        if v < 0:
            i -= 1
            tmp[i] = 45
        return self.put(&tmp[i], 24 - i)

    cdef int cut_front(self, Py_ssize_t k) except -1:
        if k:
            self.n -= k
            if self.n:
                memmove(self.p, self.p + k, self.n)
            else:
                self.clear()
        return 0

    cdef void clear(self) noexcept:
        self.n = 0
        if self.cap > KEEP:
            free(self.p)
            self.p = NULL
            self.cap = 0

    cdef bytes copy(self):
        return PyBytes_FromStringAndSize(self.p, self.n) if self.n else b""

    cdef bytes take(self):
        cdef bytes whole = self.copy()
        self.clear()
        return whole
