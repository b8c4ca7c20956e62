"""Event streams: the compiled parser and rewriter against their references, on any bytes in any chunks.

The first four bytes choose dialect, edits and the places where the stream is cut; the rest is the stream.
"""

from tests.hotpath.streams import ATTRIBUTES, cut, expected, parsed, rewritten
from tests.reference import sse as reference

SEEDS = [
    b"\0\0\0\0" + b'data: {"model":"m","choices":[{"finish_reason":"stop"}],"usage":null}\n\ndata: [DONE]\n\n',
    b"\1\7\3\1"
    + b'data: {"choices":[],"usage":{"a":1},"model":"m"}\r\n\r\n: hi\r\n\r\ndata: {"error":{"a":1}}\r\n\r\n',
    b"\2\1\1\2"
    + b'event: response.completed\ndata: {"type":"response.completed","response":{"model":"m","usage":{}}}\n\n',
    b"\3\5\5\0" + b'\xef\xbb\xbfid: 1\rdata: {"usage":{},\rdata: "x_groq":{"usage":{}}}\r\revent: error\rdata: x\r\r',
    b"\0\2\2\1" + 'data: {"content":"\u6211\U0001f600","model":"m"}\n\ndata: {"model":1'.encode(),
]
NAMES = (None, b'"smart"', b'"m"')


def one_input(data: bytes) -> None:
    if len(data) < 4:
        return
    switches, first, step, what = data[:4]
    stream = data[4:]
    places = list(range(first, len(stream), step + 1)) if step < 200 else [first]
    chunks = cut(stream, places)
    dialect, model, hide = switches % 3, NAMES[what % 3], bool(what & 4)
    ours = rewritten(chunks, dialect, model, hide)
    wanted = expected(stream, dialect, model, hide)
    assert ours == wanted, f"{ATTRIBUTES}: {ours} is not {wanted}"
    for flush in (False, True):
        assert parsed(chunks, flush) == reference.parse(stream, flush)
