"""Addresses in a configuration: their parts, whether only this machine reaches them, and how to show them."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761 §6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split_url(url: str) -> SplitResult | None:
    """The parts of a URL with a host and, if any, a valid port; None when it is not one."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname and not re.search(r"[\s\x00-\x1f\x7f]", url) else None


def without_userinfo(url: str) -> str:
    """The URL with what stands before `@` cut out, and the query: either may hold a password."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority, slash, path = rest.partition("/")
    host = f"***@{authority.rpartition('@')[2]}" if "@" in authority else authority
    path, query, _ = path.partition("?")
    return f"{scheme}://{host}{slash}{path}{'?***' if query else ''}"
