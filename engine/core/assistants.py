"""AI agents: a leg to `app:AP…?key=value`. What the application needs to know travels as parameters of the address.

Twilio hands them to the application as fields of its own voice webhook. Our call and leg always go along, because the
CallSid seen there need not be the participant's (twilio-facts.md 2.2). Values are URL-encoded here; how much Twilio
takes is not documented, so the whole address is bounded, and a context that does not fit is refused, never cut.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, urlencode

from schemas.targets import Target, TargetKind, parse_target

MOST_CHARACTERS = 1_000
_LONGEST_LEG = "supervisor-999999"


def address_of(target: Target, call_id: str, leg: str, context: Mapping[str, str]) -> str:
    """Twilio's `To`: for an application with our call, leg and the context; what the target itself says, wins."""
    if target.kind is not TargetKind.APP:
        return target.twilio_address
    application, _, query = target.twilio_address.partition("?")
    own = dict(parse_qsl(query, keep_blank_values=True))
    return f"{application}?{urlencode({**context, 'call': call_id, 'leg': leg, **own}, quote_via=quote)}"


def fits(targets: Iterable[str], call_id: str, context: Mapping[str, str]) -> bool:
    """Whether the context can go along to every application among the targets."""
    parsed = (parse_target(text) for text in targets)
    return all(
        len(address_of(target, call_id, _LONGEST_LEG, context)) <= MOST_CHARACTERS
        for target in parsed
        if target.kind is TargetKind.APP
    )
