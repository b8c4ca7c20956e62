"""What a usage costs: products of whole numbers, summed exactly and rounded once."""

from collections.abc import Sequence

from switchgear.types import Usage

class PriceTable:
    """The rates of one model.

    tables: by service tier ("" for the usual one, which must be there), rows in ascending order of their first number:
    more than so many input tokens (-1 for the first row), then the pico-dollars per token of each class in the order of
    `accounting.rates.CLASSES`. image, request: pico-dollars each.

    Raises `ValueError` for a missing or empty table, rows that do not ascend, and negative rates; `OverflowError` for
    rates and counts beyond 64 bits.
    """

    def __init__(self, tables: dict[str, Sequence[tuple[int, ...]]], image: int = 0, request: int = 0) -> None: ...
    def cost(self, usage: Usage) -> int:
        """Nano-dollars, rounded half up.

        The whole request costs what its row says: that of its service tier (the usual one where there is none of the
        tier's own) with the largest first number below `input_tokens`. Each token counts once, as its narrowest class;
        tokens that are cached and audio at once count as cached audio, also where only the sum of the two shows that
        some must be both. Negative counts are 0.
        """
    def upper(self, input_tokens: int, output_tokens: int, images: int = 0) -> int:
        """The most that these can cost, nano-dollars, rounded up: each side at its dearest class, over every service
        tier and every row up to this number of input tokens."""
