"""Run a fuzz target: `python tests/fuzz/run.py sse --seconds 20` (or --count 100000).

A target is a module fuzz_NAME.py with `one_input(data: bytes) -> None`, which raises AssertionError where our code and
its reference disagree, and `SEEDS`. With atheris installed it is driven by coverage; without, by a seeded mutator, so
that the same arguments give the same inputs. An input that fails is written to the current folder and printed.
"""

import argparse
import importlib
import random
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOKENS = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\r", b"\r\n", b"\n\n", b" ", b"0", b"-", b".", b"e",
    b"\0", b"\xff",
    b"\xc3", b"\xe6\x88\x91", b"\xf0\x9f\x98\x80", b"\xef\xbb\xbf", b"null", b"true", b"1e9", b"\\u0065", b"\\ud800",
    b"data:",
    b"data: ", b"event: error\n", b": c\n", b"id: 1\n", b'"model":"x",', b'"usage":{},', b'"usage":null,',
    b'"error":{},',
    b'"error":1,', b'"choices":[],', b'"finish_reason":"stop"', b"[DONE]", b'"n":1,', b'"stream":true,',
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 200 OK\r\n",
]  # fmt: skip


def mutated(seeds: list[bytes], rng: random.Random) -> bytes:
    """A seed, or two joined, with a few random edits."""
    data = bytearray(rng.choice(seeds))
    if rng.random() < 0.2:
        other = rng.choice(seeds)
        data = data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]
    for _ in range(rng.choice([1, 1, 2, 3, 5, 8])):
        place = rng.randint(0, len(data))
        what = rng.randrange(5)
        if what == 0:
            data[place:place] = rng.choice(TOKENS)
        elif what == 1:
            del data[place : place + rng.choice([1, 1, 2, 4, 16])]
        elif what == 2 and place < len(data):
            data[place] = rng.randrange(256)
        elif what == 3 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif what == 4:
            end = min(len(data), place + rng.randint(1, 24))
            data[place:place] = data[place:end]
    return bytes(data)


def report(name: str, data: bytes) -> None:
    path = Path(f"crash-{name}.bin")
    path.write_bytes(data)
    sys.stderr.write(f"fuzz_{name}: failed on {data!r}\nwritten to {path}\n")


def plainly(name: str, one_input: Callable[[bytes], None], seeds: list[bytes], args: argparse.Namespace) -> int:
    """How many inputs were tried until time or count was up. Without coverage no input can join the seeds."""
    rng = random.Random(args.seed)  # noqa: S311  # repeatable, not secret
    until = time.monotonic() + args.seconds
    tried = 0
    while tried < args.count if args.count else time.monotonic() < until:
        data = seeds[tried] if tried < len(seeds) else mutated(seeds, rng)
        try:
            one_input(data)
        except BaseException:
            report(name, data)
            raise
        tried += 1
    return tried


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(path.stem[5:] for path in Path(__file__).parent.glob("fuzz_*.py")))
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--count", type=int, default=0, help="inputs to try, instead of a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="the seeded mutator even when atheris is installed")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    module = importlib.import_module(f"tests.fuzz.fuzz_{args.target}")
    if args.plain or not find_spec("atheris"):
        tried = plainly(args.target, module.one_input, module.SEEDS, args)
        sys.stdout.write(f"fuzz_{args.target}: {tried} inputs, no disagreement\n")
        return
    atheris = importlib.import_module("atheris")
    corpus = ROOT / "build" / "fuzz" / args.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(module.SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    limit = f"-runs={args.count}" if args.count else f"-max_total_time={int(args.seconds)}"
    atheris.Setup([sys.argv[0], limit, f"-seed={args.seed}", str(corpus)], module.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
