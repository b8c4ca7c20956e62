"""Finding and splicing the fields of a JSON body: accepted exactly when strict JSON, spans exact."""

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchgear.hotpath import _peek
from switchgear.hotpath._peek import PeekError, peek_reply, peek_request, prepare, splice
from tests.reference import peek as reference

REQUEST = [name for name in dir(_peek.Request) if not name.startswith("_")]
REPLY = [f"{name}_{side}" for name in ("model", "usage", "error", "choices", "tier") for side in ("start", "end")]


def compared(body: bytes, max_depth: int = 512) -> Any:
    """The Request, or the PeekError, after both were held against the reference."""
    refused: Any = None
    try:
        wanted = reference.peek_request(body, max_depth)
    except reference.Refused as why:
        refused = why
    try:
        reply = reference.peek_reply(body, max_depth)
    except reference.Refused:
        with pytest.raises(PeekError):
            peek_reply(body, max_depth)
    else:
        assert {name: getattr(peek_reply(body, max_depth), name) for name in REPLY} == reply
    if refused is None:
        request = peek_request(body, max_depth)
        assert {name: getattr(request, name) for name in REQUEST} == wanted
        return request
    with pytest.raises(PeekError) as raised:
        peek_request(body, max_depth)
    error = raised.value
    assert (error.code, error.param) == (refused.code, refused.param), error.message
    if refused.position is not None:
        assert error.position == refused.position
    return error


def test_a_chat_request() -> None:
    body = (
        b' {"model" : "gpt-\\u00e9","messages":[{"role":"user","content":"hi"}],"stream":true,"max_tokens":5.0,'
        b'"n":2,"user":"u","stream_options":{"include_usage":true}}\n'
    )
    found = compared(body)
    assert (found.model, found.stream, found.max_tokens, found.n, found.include_usage) == ("gpt-é", True, 5, 2, True)
    assert body[found.model_start : found.model_end] == b'"gpt-\\u00e9"'
    assert body[found.stream_start : found.stream_end] == b"true"
    assert body[found.stream_options_start : found.stream_options_end] == b'{"include_usage":true}'
    assert body[found.user_start : found.user_end] == b'"u"'
    assert (found.messages_kind, found.messages_empty, found.input_kind) == (ord("["), False, 0)
    assert body[found.end :] == b"}\n"


def test_nothing_in_it() -> None:
    found = compared(b"{ }")
    assert (found.model, found.stream, found.max_tokens, found.n, found.include_usage) == (None, False, -1, 1, False)
    assert (found.end, found.empty, found.model_start, found.messages_kind) == (2, True, -1, 0)


def test_null_is_absent() -> None:
    found = compared(b'{"stream":null,"stream_options":null,"max_tokens":null,"n":null,"user":null,"input":null}')
    assert (found.stream, found.stream_options_start, found.max_tokens, found.n) == (False, -1, -1, 1)
    assert (found.user_start, found.input_kind, found.empty) == (-1, ord("n"), False)


def test_nested_names_are_not_fields() -> None:
    found = compared(b'{"metadata":{"model":"a","stream":true},"x":[{"n":3}],"messages":[ ]}')
    assert (found.model, found.stream, found.n, found.messages_empty) == (None, False, 1, True)


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("0", 0),
        ("5", 5),
        ("5.0", 5),
        ("50e-1", 5),
        ("0.5e1", 5),
        ("0.050e2", 5),
        ("1e3", 1000),
        ("-0", 0),
        ("0e9999999999999999999", 0),
        ("-1", -1),
        ("-7.0", -1),
        ("2147483647", 2147483647),
        ("2147483648", 2147483647),
        ("1e400", 2147483647),
        ("9" * 5000, 2147483647),
        ("1" + "0" * 5000 + "e-5000", 1),
        ("5.5", None),
        ("1e-400", None),
        ("-1.5", None),
        ("10.50", None),
    ],
)
def test_whole_numbers(number: str, value: int | None) -> None:
    found = compared(f'{{"max_tokens":{number}}}'.encode())
    if value is None:
        assert found.message == "Invalid type for 'max_tokens': expected an integer, but got a decimal number instead."
    else:
        assert found.max_tokens == value
    assert compared(f'{{"n":{number}}}'.encode()) is not None


def test_which_limit_counts() -> None:
    assert compared(b'{"max_tokens":1,"max_output_tokens":2,"max_completion_tokens":3}').max_tokens == 3
    assert compared(b'{"max_tokens":1,"max_output_tokens":2,"max_completion_tokens":null}').max_tokens == 2
    assert compared(b'{"max_tokens":1,"max_output_tokens":-2}').max_tokens == 1


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ('{"model":3}', "Invalid type for 'model': expected a string, but got an integer instead.", "model"),
        ('{"model":null}', "Invalid type for 'model': expected a string, but got null.", "model"),
        ('{"model":["a"]}', "Invalid type for 'model': expected a string, but got an array instead.", "model"),
        ('{"stream":"yes"}', "Invalid type for 'stream': expected a boolean, but got a string instead.", "stream"),
        ('{"n":true}', "Invalid type for 'n': expected an integer, but got a boolean instead.", "n"),
        ('{"user":{}}', "Invalid type for 'user': expected a string, but got an object instead.", "user"),
        (
            '{"stream_options":[]}',
            "Invalid type for 'stream_options': expected an object, but got an array instead.",
            "stream_options",
        ),
        (
            '{"stream_options":{"include_usage":1.5}}',
            "Invalid type for 'stream_options.include_usage': expected a boolean, but got a decimal number instead.",
            "stream_options.include_usage",
        ),
    ],
)
def test_wrong_types(body: str, message: str, param: str) -> None:
    error = compared(body.encode())
    assert (error.message, str(error), error.param, error.code) == (message, message, param, "invalid_type")
    assert error.position > 0


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","mod\\u0065l":"b"}',
        b'{"mod\\u0065l":"a","m\\u006fdel":"b"}',
        b'{"Model":"a","model":"b"}',
        b'{"model":"a","MODEL":"b"}',
        b'{"model":"a","\\u004dodel":"b"}',
    ],
)
def test_a_second_model_is_refused(body: bytes) -> None:
    error = compared(body)
    assert (error.message, error.param, error.code) == (
        "Invalid body: 'model' is given twice.",
        "model",
        "duplicate_field",
    )


def test_other_fields_given_twice() -> None:
    for name in reference.ACTED_ON[1:]:
        assert compared(f'{{"{name}":null,"x":1,"{name}":null}}'.encode()).param == name
    assert compared(b'{"stream_options":{"include_usage":true,"include_usage":true}}').code == "duplicate_field"
    assert compared(b'{"x":1,"x":2,"Model":"a","Stream":1}').model is None


def test_escaped_names_count() -> None:
    found = compared(b'{"\\u006Dodel":"m","str\\u0065am":true,"a\\nb":1,"\\"":2,"mode\\/":3}')
    assert (found.model, found.stream) == ("m", True)


def test_half_a_surrogate_pair() -> None:
    error = compared(b'{"model":"\\ud800"}')
    assert (error.code, error.param) == ("invalid_value", "model")
    assert compared(b'{"model":"\\ud83d\\ude00"}').model == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b"", "The body is empty."),
        (b"[1]", "Expected an object, but got an array."),
        (b' "x"', "Expected an object, but got a string."),
        (b"{", "Found no name in double quotes where a member of an object should begin at line 1, column 2, byte 1."),
        (b'{"a":\n tru}', "Found something that is not a JSON value at line 2, column 2, byte 7."),
        (
            b'{"a":1,}',
            "Found no name in double quotes where a member of an object should begin at line 1, column 8, byte 7.",
        ),
        (b'{"a":1 "b"}', "Found no ',' or '}' after a member at line 1, column 8, byte 7."),
        (b'{"a":[1 2]}', "Found no ',' or ']' after an element at line 1, column 9, byte 8."),
        (b'{"a" 1}', "Found no ':' after the name of a member at line 1, column 6, byte 5."),
        (b'{"a":"b}', "Found a string that does not end at line 1, column 6, byte 5."),
        (
            b'{"a":"\n"}',
            "Found a control character inside a string, which must be escaped at line 1, column 7, byte 6.",
        ),
        (b'{"a":"\xff"}', "Found bytes that are not UTF-8 at line 1, column 7, byte 6."),
        (b'{"a":"\\x"}', "Found an escape that JSON does not have at line 1, column 7, byte 6."),
        (b'{"a":01}', "Found a number with a leading zero at line 1, column 6, byte 5."),
        (b'{"a":NaN}', "Found something that is not a JSON value at line 1, column 6, byte 5."),
        (b"{} {}", "Found something after the end of the JSON value at line 1, column 4, byte 3."),
        (b"\xef\xbb\xbf{}", "Found something that is not a JSON value at line 1, column 1, byte 0."),
    ],
)
def test_what_is_not_json(body: bytes, hint: str) -> None:
    error = compared(body)
    assert error.message == f"We could not parse the JSON body of your request. ({hint})"
    assert (error.param, error.code) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        '"\\u12"', '"\\u123g"', '"\\', '"\\"', '"\t"', '"\x7f"', "-", "-a", "1.", ".5", "1e", "1e+", "+1", "00",
        "-01", "0x1",
        "1_0", "Infinity", "-Infinity", "nul", "nulll", "True", "'a'", "[1,]", "[,1]", "[", "]", "[}", "{]",
        "[[]", '{"a"}',
        '{"a":}', "{1:2}", '{"a":1,,"b":2}', "/**/1", "1 2", "\x0b1", "\xa01", '"\ud7ff"', "1\0", "\0", '"\0"',
    ],
)  # fmt: skip
def test_grammar(text: str) -> None:
    """Alone, as a member, as an element; at the end of a body too."""
    for body in (text, f'{{"a":{text}}}', f'{{"a":[{text}]}}', f'{{"a":{text}', f"{{{text}:1}}"):
        compared(body.encode())


def test_utf8_at_every_place() -> None:
    """Well- and malformed sequences at each offset of a block of 16 bytes, followed by text and by the string's end."""
    sequences = [
        b"\xc3\xa9",
        b"\xe6\x88\x91",
        b"\xf0\x9f\x98\x80",
        b"\xef\xbf\xbf",
        b"\xf4\x8f\xbf\xbf",
        b"\xed\x9f\xbf",
    ]
    sequences += [b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80"]
    sequences += [
        b"\xf5\x80\x80\x80",
        b"\xff",
        b"\x80",
        b"\xc3",
        b"\xe6\x88",
        b"\xf0\x9f\x98",
        b"\xc3\xc3\xa9",
        b"\xc3\xa9\x80",
    ]
    for sequence in sequences:
        try:
            sequence.decode()
        except UnicodeDecodeError:
            good = False
        else:
            good = True
        for before in range(40):
            for after in (b"", b"x", b"\\n", b"x" * 15, b"x" * 40, "\u6211".encode() * 6):
                body = b'{"' + b"a" * before + sequence + after + b'":1}'
                if good:
                    peek_reply(body)
                else:
                    with pytest.raises(PeekError):
                        peek_reply(body)


def test_depth() -> None:
    for depth, limit in ((512, 512), (4096, 4096), (1, 1), (65, 65)):
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            inner = opening * (depth - 1) + b"1" + closing * (depth - 1)
            peek_request(b'{"a":' + inner + b"}", limit)
            with pytest.raises(PeekError, match=f"nested deeper than {limit} levels"):
                peek_request(b'{"a":[' + inner + b"]}", limit)
    with pytest.raises(PeekError, match="nested deeper than 512 levels"):
        peek_request(b"[" * 100_000)
    for limit in (0, 4097):
        with pytest.raises(ValueError, match="max_depth must be from 1 to 4096"):
            peek_request(b"{}", limit)


def test_kinds_of_brackets_are_remembered_over_words() -> None:
    """One bit a level: patterns that cross the 64th."""
    for pattern in (b"[{", b"{[", b"[[{", b"{{["):
        opened = [pattern[i % len(pattern)] for i in range(200)]
        text = b"".join(b"[" if c == ord("[") else b'{"a":' for c in opened)
        closing = b"".join(b"]" if c == ord("[") else b"}" for c in reversed(opened))
        peek_reply(b'{"a":' + text + b"1" + closing + b"}")
        for place in (0, 63, 64, 65, 127, 128, 199):
            wrong = bytearray(closing)
            wrong[place] = ord("]") if wrong[place] == ord("}") else ord("}")
            with pytest.raises(PeekError):
                peek_reply(b'{"a":' + text + b"1" + bytes(wrong) + b"}")


def test_a_reply() -> None:
    body = b'{"model":"m","choices":[{"model":"x"}],"usage":{"a":1},"error":null,"usage":{"b":2}}'
    found = peek_reply(body)
    assert body[found.model_start : found.model_end] == b'"m"'
    assert body[found.choices_start : found.choices_end] == b'[{"model":"x"}]'
    assert body[found.usage_start : found.usage_end] == b'{"b":2}'
    assert (found.error_start, found.error_end) == (-1, -1)
    compared(body)
    for body in (b'{"model":3,"usage":null,"error":"x","choices":null}', b"{}", b"[]", b'{"usage":1,"usage":null}'):
        compared(body)


def test_the_service_tier_of_a_reply() -> None:
    body = b'{"metadata":{"service_tier":"flex"},"service_tier":"default","usage":{}}'
    found = peek_reply(body)
    assert body[found.tier_start : found.tier_end] == b'"default"'
    compared(body)
    for other in (
        b'{"service_tier":null}',
        b'{"service_tier":1}',
        b'{"s\\u0065rvice_tier":"x"}',
        b'{"service_tiers":"x"}',
    ):
        compared(other)


def test_splice() -> None:
    assert splice(b"abcdef", 2, 4, b"XYZ") == b"abXYZef"
    assert splice(b"", 0, 0, b"x") == b"x"
    for start, end in ((-1, 2), (3, 2), (0, 7), (7, 7)):
        with pytest.raises(ValueError, match="is not inside a body of 6 bytes"):
            splice(b"abcdef", start, end, b"")


@pytest.mark.parametrize(
    ("body", "model", "ask", "out"),
    [
        ('{"model":"a","stream":true}', None, False, '{"model":"a","stream":true}'),
        ('{"model":"a","stream":true}', '"bc"', False, '{"model":"bc","stream":true}'),
        ('{"model":"a"}', '"bc"', True, '{"model":"bc","stream_options":{"include_usage":true}}'),
        ("{ }", '"bc"', True, '{ "stream_options":{"include_usage":true}}'),
        ('{"stream_options":{},"model":"a"}', '"b"', True, '{"stream_options":{"include_usage":true},"model":"b"}'),
        ('{"stream_options":null}', None, True, '{"stream_options":{"include_usage":true}}'),
        ('{"stream_options":{ "x":1}}', None, True, '{"stream_options":{"include_usage":true, "x":1}}'),
        ('{"stream_options":{"include_usage":false}}', None, True, '{"stream_options":{"include_usage":true}}'),
        ('{"stream_options":{"include_usage":null}}', None, True, '{"stream_options":{"include_usage":true}}'),
        ('{"stream_options":{"include_usage":true}}', None, True, '{"stream_options":{"include_usage":true}}'),
    ],
)
def test_prepare(body: str, model: str | None, ask: bool, out: str) -> None:
    sent = body.encode()
    result = prepare(sent, peek_request(sent), model.encode() if model else None, ask)
    assert result == out.encode()
    assert (result is sent) is (body == out)
    json.loads(result)


def test_prepare_refuses_another_body() -> None:
    with pytest.raises(ValueError, match="read from a body of 13 bytes, this one has 2"):
        prepare(b"{}", peek_request(b'{"model":"a"}'), b'"b"', True)


def test_the_error_survives_pickling() -> None:
    with pytest.raises(PeekError) as raised:
        peek_request(b'{"n":"x"}')
    copy = pickle.loads(pickle.dumps(raised.value))  # noqa: S301  # our own bytes
    assert (copy.message, copy.param, copy.code, copy.position) == (raised.value.message, "n", "invalid_type", 5)


def test_bytes_only() -> None:
    for call in (peek_request, peek_reply):
        with pytest.raises(TypeError):
            call("{}")  # type: ignore[arg-type]  # on purpose


# A short alphabet: one that spans Unicode takes seconds to set up.
_TEXT = st.text('aZ09 "\\/\n\t\0\x7f\xe9\u2028\u6211\ufeff\U0001f600\ud800', max_size=24)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXT,
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT | st.just("include_usage"), inner, max_size=4),
    max_leaves=8,
)
_NAMES = st.sampled_from([*reference.ACTED_ON, "usage", "choices", "error", "Model", "mod\\u0065l", "x"]) | st.text(
    "admelnoMODEL_ \xe9\u6211", max_size=8
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Objects with the fields among others, their names once or more often; some of them mutated."""
    parts = []
    for _ in range(draw(st.integers(0, 6))):
        value = json.dumps(
            draw(_VALUES), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, None, 1]))
        )
        parts.append(f'"{draw(_NAMES)}":{value}'.encode("utf-8", "surrogatepass"))
    text = bytearray(draw(st.sampled_from([b"", b" ", b"\n"])) + b"{" + b" , ".join(parts) + b"}")
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        place = draw(st.integers(0, len(text) - 1))
        what = draw(st.integers(0, 3))
        if what == 0:
            del text[place : place + draw(st.integers(1, 3))]
        elif what == 1:
            text[place] = draw(st.integers(0, 255))
        elif what == 2:
            text[place:place] = draw(
                st.sampled_from([b'"', b"{", b"]", b",", b"\\", b"0", b"-", b"\xf0\x9f\x98\x80", b"e", b"."])
            )
        else:
            del text[place:]
        if not text:
            break
    return bytes(text)


@settings(max_examples=500)
@given(bodies())
def test_agrees_with_the_reference(body: bytes) -> None:
    found = compared(body)
    if isinstance(found, PeekError):
        return
    ready = prepare(body, found, b'"other"', True)
    again = compared(ready)
    assert again.include_usage
    assert again.model == (None if found.model is None else "other")


@given(st.binary(max_size=60))
def test_agrees_on_noise(body: bytes) -> None:
    compared(body)
    compared(b'{"model":"' + body + b'"}')


def test_nothing_else_is_public() -> None:
    public = {name for name in vars(_peek) if not name.startswith("_")}
    assert public == {"PeekError", "Reply", "Request", "peek_reply", "peek_request", "prepare", "splice"}
