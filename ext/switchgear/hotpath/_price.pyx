"""What a usage costs. Strategy and contract: src/switchgear/hotpath/_price.pyi.

A rate is below 2^63 and so is a count, so a product needs 128 bits; sums of a dozen of them stay below 2^127 as long as
both are what the configuration and the readers of usage let through (10^12 pico-dollars, 2^40 tokens).
"""

from libc.stdlib cimport free, malloc

cdef extern from *:
    ctypedef long long int128 "__int128"

cdef enum:
    INPUT = 7  # classes of the input side, in the order of accounting.rates.CLASSES
    OUTPUT = 4  # of the output side

cdef struct Band:
    long long above
    long long given[INPUT]
    long long made[OUTPUT]


cdef struct Bands:
    Band *bands
    Py_ssize_t count


cdef struct Edge:
    long long above, given, made


cdef class PriceTable:
    def __cinit__(self, dict tables not None, long long image=0, long long request=0):
        cdef Py_ssize_t index
        self.image = image
        self.request = request
        self.usual.bands = NULL
        self.edges = NULL
        self.tables = NULL
        self.names = {}
        if "" not in tables:
            raise ValueError("expected a table for the usual service tier, ''")
        if image < 0 or request < 0:
            raise ValueError("expected prices of 0 or more")
        self.tables = <Bands *>malloc(len(tables) * sizeof(Bands))
        if self.tables == NULL:
            raise MemoryError
        for index in range(len(tables)):
            self.tables[index].bands = NULL
            self.tables[index].count = 0
        for index, (name, rows) in enumerate(tables.items()):
            if not isinstance(name, str):
                raise TypeError("expected a service tier's name")
            fill(&self.tables[index], list(rows))
            self.names[name] = index
            if name == "":
                self.usual = self.tables[index]
        self.note_edges()

    def __dealloc__(self):
        cdef Py_ssize_t index
        if self.tables != NULL:
            for index in range(len(self.names) if self.names is not None else 0):
                free(self.tables[index].bands)
        free(self.tables)
        free(self.edges)

    cdef int note_edges(self) except -1:
        """The dearest rates up to each length of the context, over every service tier."""
        cdef list rows = []
        cdef Py_ssize_t table, index, side
        cdef long long given = 0, made = 0
        cdef Band *band
        for table in range(len(self.names)):
            for index in range(self.tables[table].count):
                band = &self.tables[table].bands[index]
                rows.append((
                    band.above,
                    max([band.given[side] for side in range(INPUT)]),
                    max([band.made[side] for side in range(OUTPUT)]),
                ))
        rows.sort()
        self.edges = <Edge *>malloc(len(rows) * sizeof(Edge))
        if self.edges == NULL:
            raise MemoryError
        self.edge_count = len(rows)
        for index in range(self.edge_count):
            given = max(given, <long long>rows[index][1])
            made = max(made, <long long>rows[index][2])
            self.edges[index] = Edge(rows[index][0], given, made)
        return 0

    cpdef object cost(self, object usage):
        cdef long long given = count(usage.input_tokens), made = count(usage.output_tokens)
        cdef long long cached = count(usage.cached_tokens), written = count(usage.cache_write_tokens)
        cdef long long audio = count(usage.input_audio_tokens), image = count(usage.input_image_tokens)
        cdef long long reasoning = count(usage.reasoning_tokens)
        cdef long long spoken = count(usage.output_audio_tokens), drawn = count(usage.output_image_tokens)
        cdef long long hour, both, text
        cdef int128 total = self.request
        cdef Band *band = self.band(usage.service_tier, given)
        if cached | written | audio | image:
            hour = count(usage.cache_write_1h_tokens)
            both = count(usage.cached_audio_tokens)
            cached = max(cached - both, 0)
            audio = max(audio - both, 0)
            written = max(written - hour, 0)
            text = given - cached - audio - both - hour - written - image
            if text < 0:  # more than there were: as many as must be are cached and audio at once
                given = min(-text, min(cached, audio))
                cached -= given
                audio -= given
                both += given
                text = max(text + given, 0)
            total += (
                <int128>text * band.given[0] + <int128>cached * band.given[1] + <int128>written * band.given[2]
                + <int128>hour * band.given[3] + <int128>audio * band.given[4] + <int128>both * band.given[5]
                + <int128>image * band.given[6]
            )
        else:
            total += <int128>given * band.given[0]
        if reasoning | spoken | drawn:
            text = max(made - reasoning - spoken - drawn, 0)
            total += (
                <int128>text * band.made[0] + <int128>reasoning * band.made[1] + <int128>spoken * band.made[2]
                + <int128>drawn * band.made[3]
            )
        else:
            total += <int128>made * band.made[0]
        if self.image:
            total += <int128>count(usage.images) * self.image
        return whole((total + 500) // 1000)

    cpdef object upper(self, long long input_tokens, long long output_tokens, long long images=0):
        cdef Py_ssize_t index = self.edge_count - 1
        while index > 0 and self.edges[index].above >= 0 and input_tokens <= self.edges[index].above:
            index -= 1
        cdef Edge *edge = &self.edges[index]
        cdef int128 total = <int128>max(input_tokens, 0) * edge.given + <int128>max(output_tokens, 0) * edge.made
        total += <int128>max(images, 0) * self.image + self.request
        return whole((total + 999) // 1000)

    cdef Band *band(self, object service_tier, long long tokens):
        """The rates for a request of so many input tokens."""
        cdef Bands *table = &self.usual
        if service_tier and service_tier in self.names:
            table = &self.tables[<Py_ssize_t>self.names[service_tier]]
        cdef Py_ssize_t index = table.count - 1
        while index > 0 and tokens <= table.bands[index].above:
            index -= 1
        return &table.bands[index]


cdef int fill(Bands *table, list rows) except -1:
    cdef Py_ssize_t index, side
    cdef tuple row
    if not rows:
        raise ValueError("expected at least one row of rates")
    table.bands = <Band *>malloc(len(rows) * sizeof(Band))
    if table.bands == NULL:
        raise MemoryError
    table.count = len(rows)
    for index in range(table.count):
        row = tuple(rows[index])
        if len(row) != 1 + INPUT + OUTPUT or min(row[1:]) < 0:
            raise ValueError(f"expected {1 + INPUT + OUTPUT} numbers, rates of 0 or more, got {row!r}")
        table.bands[index].above = row[0]
        if index and table.bands[index].above <= table.bands[index - 1].above:
            raise ValueError("expected rows that ascend by their first number")
        for side in range(INPUT):
            table.bands[index].given[side] = row[1 + side]
        for side in range(OUTPUT):
            table.bands[index].made[side] = row[1 + INPUT + side]
    return 0


cdef inline long long count(object tokens) except? -1:
    """Never negative: what an upstream tells is not to be trusted with a credit."""
    cdef long long value = tokens
    return value if value > 0 else 0


cdef inline object whole(int128 value):
    """As a Python integer, of any size."""
    cdef int128 limit = 1000000000000000000
    if value < limit:
        return <long long>value
    return <object>(<long long>(value // limit)) * 1000000000000000000 + <object>(<long long>(value % limit))
