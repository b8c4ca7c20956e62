"""What a caller without a valid key reads: OpenAI's own words, since clients and people match on them.

Sources: recorded answers of api.openai.com (401, `invalid_api_key`, and the mask of the key) and, for a request without
a key, its documented answer, whose `code` is null.
"""

from __future__ import annotations

from switchgear.errors import AuthenticationFailed

_KEYS_URL = "https://platform.openai.com/account/api-keys"
_MASKED_FROM = 16  # characters; of a shorter text, too much of it would be seen


def missing_key() -> AuthenticationFailed:
    """The request has no key at all."""
    error = AuthenticationFailed(
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
        "API from your browser and are prompted for a username and password. You can obtain an API key from "
        f"{_KEYS_URL}."
    )
    error.code = None
    return error


def incorrect_key(token: bytes) -> AuthenticationFailed:
    """The request has a key that nobody has. Only its ends are repeated."""
    return AuthenticationFailed(
        f"Incorrect API key provided: {masked(token)}. You can find your API key at {_KEYS_URL}."
    )


def invalid_token(reason: str) -> AuthenticationFailed:
    """The request has a JWT that does not pass. reason: a sentence that repeats nothing of the token."""
    return AuthenticationFailed(f"Invalid bearer token: {reason}")


def masked(token: bytes) -> str:
    """`sk-sg-ab****wxyz`: the first eight characters and the last four; of a short text the first two."""
    ends = (token[:8], token[-4:]) if len(token) >= _MASKED_FROM else (token[:2], b"")
    first, last = ("".join(chr(byte) if 0x21 <= byte <= 0x7E else "?" for byte in end) for end in ends)
    return f"{first}****{last}"
