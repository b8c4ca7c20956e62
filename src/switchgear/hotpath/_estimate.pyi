"""An estimate of prompt tokens from the bytes of a JSON body: fast, and made exact by calibration.

By script: a word of ASCII letters is a token and one more for each eight letters beyond the first; three digits are
one; punctuation and JSON's own signs count by runs; a character of two bytes in UTF-8 (Latin with accents, Greek,
Cyrillic, Arabic, …) is half a token, of three bytes (Chinese, Japanese, Korean, …) one, of four (emoji) two. An
unbroken run of 1,024 characters of base64 or more is data (an image, say) and counts 1,000 however long.
"""

def estimate_tokens(body: bytes) -> int:
    """Tokens of `body`, at least 0. Linear in its length; never raises for any bytes."""
