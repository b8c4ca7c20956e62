"""JSON bodies: what peek accepts, finds and splices against the reference, on any bytes."""

import json

from switchgear.hotpath._peek import PeekError, peek_reply, peek_request, prepare
from tests.hotpath.test_peek import REPLY, REQUEST
from tests.reference import peek as reference

SEEDS = [
    b'{"model":"m","messages":[{"role":"user","content":"hi \\u00e9\\n"}],"stream":true,"max_tokens":5.0e1}',
    b'{"stream_options":{"include_usage":false,"x":[1,{}]},"n":-1,"user":"u","input":"a"}',
    '{"model":"\u6211\U0001f600","prompt":[1,2.5,-3e+7,null,true,false],"max_completion_tokens":1e400}'.encode(),
    b' {"mod\\u0065l":"\\ud83d\\ude00","Model":1,"usage":{"a":1},"error":null,"choices":[]} \r\n\t',
    b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
]


def check_refusal(error: PeekError, refused: reference.Refused | None) -> None:
    assert refused is not None, f"refused without reason: {error}"
    assert (error.code, error.param) == (refused.code, refused.param)
    assert refused.position in (None, error.position)


def one_input(data: bytes) -> None:
    max_depth = 8 if len(data) % 2 else 512
    try:
        reply = reference.peek_reply(data, max_depth)
    except reference.Refused:
        reply = None
    try:
        found = peek_reply(data, max_depth)
    except PeekError:
        assert reply is None, "a good answer is refused"
    else:
        assert reply == {name: getattr(found, name) for name in REPLY}
    refused = None
    try:
        wanted = reference.peek_request(data, max_depth)
    except reference.Refused as why:
        refused = why
    try:
        request = peek_request(data, max_depth)
    except PeekError as why:
        check_refusal(why, refused)
        return
    assert refused is None, f"not refused: {refused}"
    assert wanted == {name: getattr(request, name) for name in REQUEST}
    ready = prepare(data, request, b'"other"', True)
    assert json.loads(ready, parse_int=str)["stream_options"]["include_usage"] is True
