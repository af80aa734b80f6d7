"""The URLs that we hand out to Twilio."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.routes import RETRY_FRAGMENT, Route, callback_url

_PUBLIC = st.sampled_from(["https://calls.example.com", "https://example.com/cordboard", "http://127.0.0.1:8080/a/b"])
_QUERY = st.dictionaries(
    st.sampled_from(["call", "leg", "a"]), st.none() | st.text(min_size=1, max_size=40), max_size=3
)


@given(_PUBLIC, st.sampled_from(Route), _QUERY)
def test_every_url_asks_to_be_tried_again(public_url: str, route: Route, query: dict[str, str | None]) -> None:
    """Whatever the URL is for, its fragment carries the retry policy: a 503 alone loses the callback."""
    assert callback_url(public_url, route, **query).endswith(RETRY_FRAGMENT)
    assert urlsplit(callback_url(public_url, route, **query)).fragment == RETRY_FRAGMENT[1:]


@given(_PUBLIC, st.sampled_from(Route), _QUERY)
def test_a_url_brings_back_what_was_put_into_it(public_url: str, route: Route, query: dict[str, str | None]) -> None:
    """The path is the route under the public URL; the query has each field that is not None, and no other."""
    url = urlsplit(callback_url(public_url, route, **query))
    given_fields = {name: [value] for name, value in query.items() if value is not None}

    assert f"{url.scheme}://{url.netloc}{url.path}" == public_url + route.value
    assert parse_qs(url.query, keep_blank_values=True) == given_fields


def test_the_fragment_is_what_twilio_reads() -> None:
    """Connection overrides: three tries, on every failure, within Twilio's 15 seconds (twilio-facts.md 1.9)."""
    overrides = dict(part.split("=") for part in RETRY_FRAGMENT[1:].split("&"))

    assert RETRY_FRAGMENT.startswith("#")
    assert overrides["rp"] == "all"
    assert 1 <= int(overrides["rc"]) <= 5
    assert int(overrides["tt"]) <= 15_000
    assert int(overrides["ct"]) + int(overrides["rt"]) <= int(overrides["tt"])


@pytest.mark.parametrize("route", Route)
def test_routes_lie_under_their_version(route: Route) -> None:
    """Every path starts with the version of our own interface."""
    assert route.value.startswith("/v1/")
    assert not route.value.endswith("/")
