"""The fuzz target agrees with itself on its seeds and on what a mutator makes of them in a second or so."""

import random

from tests.fuzz.fuzz_http1 import SEEDS, one_input


def test_seeds_and_mutations() -> None:
    dice = random.Random(1)  # noqa: S311  # no secret depends on it
    for seed in SEEDS:
        one_input(seed)
        for _ in range(150):
            data = bytearray(seed)
            for _ in range(dice.randrange(1, 4)):
                at = dice.randrange(len(data))
                match dice.randrange(4):
                    case 0:
                        data[at] = dice.randrange(256)
                    case 1:
                        del data[at]
                    case 2:
                        data[at:at] = dice.choice([b"\r", b"\n", b"\r\n", b"\0", b" ", b":", b"0", b"f"])
                    case 3:
                        data[at:at] = data[at : at + dice.randrange(20)]
            one_input(bytes(data))
