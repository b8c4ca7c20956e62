"""Counters in memory shared by all workers: a file of 8-byte doubles that each worker maps for itself."""

class Slab:
    """`slots` doubles in the file at `path`, created (mode 0600) or extended as needed; one writer, any number of
    readers.

    Adding costs one unlocked store: a slab has one writing process, and a reader sees whole doubles.

    Raises `OSError` when the file cannot be opened, allocated or mapped, `ValueError` when a reader asks for more slots
    than the file has. Every method raises `IndexError` outside the slots, and `ValueError` when the slab is closed or a
    reader writes.
    """

    def __init__(self, path: str, slots: int, writable: bool = True) -> None: ...
    def __len__(self) -> int:
        """How many slots; 0 when closed."""
    def add(self, slot: int, amount: float = 1.0) -> None: ...
    def get(self, slot: int) -> float: ...
    def set(self, slot: int, value: float) -> None: ...
    def observe(self, first: int, bounds: tuple[float, ...], value: float) -> None:
        """A histogram: slots `first … first+len(bounds)` count per bucket (last: +Inf), the one after sums.

        bounds: ascending; a value falls into the first bucket whose bound it does not exceed. NaN is not counted.
        """
    def read(self, first: int, count: int) -> list[float]: ...
    def close(self) -> None:
        """Unmap; the file stays. Idempotent."""
