"""Gemini's paths: `/v1beta/models/{model}:method`, on Vertex below projects, locations and publishers."""

from __future__ import annotations

import re
from urllib.parse import unquote

METHODS = "generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents"
METHOD = re.compile(rf"/models/(.+):(?:{METHODS})$")
BASE = re.compile(r"/+(?:v1(?:beta1?|alpha)?/+)?(?:projects/[^/]+/locations/[^/]+/publishers/[^/]+/)?(?=models(?:/|$))")


def path_model(raw_path: str) -> str:
    """The model that the path of a call names, percent-decoded; "" in any other path."""
    found = METHOD.search(raw_path)
    return unquote(found[1]) if found else ""


def version(raw_path: str) -> str:
    """The API version in a path, as error messages show it."""
    return "v1" if raw_path.startswith("/v1/") else "v1beta"
