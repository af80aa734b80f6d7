"""Every URL of ours that Twilio is given asks to be tried again, wherever it is made."""

import inspect
import re
from collections.abc import Callable
from html import unescape

import pytest
from twilio.request_validator import RequestValidator

from actions.urls import Urls
from cordboard.app.local_twilio import number_config
from ingress.handling import TWIML_ROUTES
from schemas.actions import CreateCall, RejoinRoom
from schemas.prompts import Prompt
from schemas.routes import RETRY_FRAGMENT, Route
from signing_twilio import ACCOUNT, CALL, PUBLIC_URL, STATUS, TOKEN, VOICE, Twilio

_OURS = re.compile(re.escape(PUBLIC_URL) + r"[^\s\"<]*")
_GIVEN = {"prompt": Prompt(say="x"), "whisper": Prompt(say="x"), "audio": "https://a.example/x.mp3"}
_CREATES = CreateCall(
    id="c1:1:0", call_id="c1", account_sid=ACCOUNT, at=0, deadline=1, leg="customer-1", to="client:anna"
)
_REJOINS = RejoinRoom(
    id="c1:1:1", call_id="c1", account_sid=ACCOUNT, at=0, deadline=1, leg="customer-1", call_sid="CA1", room="room2-c1"
)


@pytest.mark.parametrize("route", sorted(TWIML_ROUTES))
async def test_in_twiml(twilio: Twilio, route: Route) -> None:
    """Whatever a document names of us carries the retry policy."""
    fields = {**VOICE, "Result": "no-answer", "QueueResult": "error"}
    answer = await twilio.post(f"{route}?call={CALL}&leg=customer-1&say=x&on_no_answer=voicemail", fields)
    urls = [unescape(url) for url in _OURS.findall(answer.text)]
    assert urls or route in {Route.DIAL_ACTION, Route.ANNOUNCE, Route.WHISPER, Route.WAIT}
    assert [url for url in urls if not url.endswith(RETRY_FRAGMENT)] == []


@pytest.mark.parametrize("make", [method for name, method in inspect.getmembers(Urls) if not name.startswith("_")])
def test_in_requests(make: Callable[..., str]) -> None:
    """Whatever a REST request names of us does too; silence has no URL."""
    action = _REJOINS if make is Urls.rejoin else _CREATES
    more = [_GIVEN[name] for name in list(inspect.signature(make).parameters)[2:]]
    assert make(Urls(PUBLIC_URL), action, *more).endswith(RETRY_FRAGMENT)


def test_of_the_number_itself() -> None:
    """A number that leads to us, as the local Twilio's does and the README's is to."""
    config = number_config(PUBLIC_URL)
    assert config.voice_url == f"{PUBLIC_URL}{Route.TWIML}{RETRY_FRAGMENT}"
    assert config.status_callback == f"{PUBLIC_URL}{Route.STATUS}{RETRY_FRAGMENT}"


async def test_no_signature_covers_the_fragment(twilio: Twilio) -> None:
    """Twilio keeps what stands behind `#` to itself: signed without it a request is taken, with it it is not."""
    assert (await twilio.post(Route.STATUS, STATUS)).status == 204
    signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC_URL}{Route.STATUS}{RETRY_FRAGMENT}", STATUS)
    body = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in STATUS.items()).encode()
    assert (await twilio.send("POST", Route.STATUS, body, {"X-Twilio-Signature": signature})).status == 403
