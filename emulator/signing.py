"""X-Twilio-Signature: HMAC-SHA1 over the URL and the sorted form fields (twilio-facts.md 1.1, 1.2).

The emulator's own implementation; it shares no code with the validator that it exercises.
"""

import base64
import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha1
from urllib.parse import urlsplit, urlunsplit


def signed_url(url: str) -> str:
    """Return the URL as Twilio signs it: no fragment, no credentials, no port on https."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme == "https" and parts.port is not None:
        host = host[: host.rindex(":")]
    return urlunsplit((parts.scheme, host, parts.path, parts.query, ""))


def base_string(url: str, params: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> str:
    """Return the text that is signed: ``url`` (already as signed), then the form fields' names and values.

    A name that occurs more than once contributes each distinct value once, sorted, as Twilio's libraries do.
    """
    pairs = params.items() if isinstance(params, Mapping) else params
    return url + "".join(f"{name}{value}" for name, value in sorted(set(pairs)))


def signature(token: str, url: str, params: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> str:
    """Return the signature of a request to ``url`` (already as signed) with these form fields."""
    return base64.b64encode(hmac.digest(token.encode(), base_string(url, params).encode(), sha1)).decode()
