"""The express lane: callbacks that are what Twilio sends all day, from the parsed head to the record in one go.

It takes signed forms of the routes that are answered 204, and nothing that is to be refused: whatever is unusual is
left to `handling.py`, which looks at it anew and knows what to say. So the rules stand there, and here only their good
end.
"""

import time
from collections.abc import Callable
from email.utils import formatdate

import structlog
from aiohttp import hdrs
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import HttpVersion11

from ingress.forms import TooManyFieldsError
from ingress.handling import DURABLE, METERS, SETTINGS, SIGNATURE, Ingress, Meter
from ingress.lane import NotDurableError
from ingress.protocol import Answering
from ingress.reading import FORM, TWILIOS_FORM, Incoming
from ingress.webhooks import SOURCES, UnplaceableError, read_webhook
from schemas.records import Webhook
from schemas.routes import Route

ROUTES = frozenset({Route.STATUS, Route.CONFERENCE, Route.AMD, Route.RECORDING})
_FORMS = frozenset({FORM, TWILIOS_FORM})


class _Heads:
    """Whole responses, made once a second for their date."""

    def __init__(self) -> None:
        self._second = -1
        self._taken = self._put_off = b""

    def taken(self) -> bytes:
        """204."""
        self._refresh()
        return self._taken

    def put_off(self) -> bytes:
        """503: come again in a second."""
        self._refresh()
        return self._put_off

    def _refresh(self) -> None:
        now = int(time.time())
        if now != self._second:
            self._second = now
            date = f"Date: {formatdate(now, usegmt=True)}\r\n"
            self._taken = f"HTTP/1.1 204 No Content\r\n{date}\r\n".encode()
            self._put_off = (
                f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n{date}\r\n"
            ).encode()


class Express:
    """`Lane` of an ingress."""

    def __init__(self, ingress: Ingress) -> None:
        self._ingress = ingress
        self._heads = _Heads()
        self._say = structlog.get_logger("ingress").bind()

    def take(self, message: RawRequestMessage, body: bytes, asker: Answering) -> bool:
        """See `Lane`. Until the record is on its way nothing is changed or counted."""
        began = time.perf_counter()
        ingress, target, headers = self._ingress, message.path, message.headers
        route = ingress.routes.get(target.partition("?")[0])
        if route not in ROUTES or not _is_usual(message) or ingress.is_full:
            return False
        try:
            incoming = Incoming("POST", target, body, is_form=True)
            webhook = read_webhook(SOURCES[route], incoming.query, incoming.fields, ingress.clock())
        except (TooManyFieldsError, UnplaceableError):
            return False
        account, signature = incoming.fields.get("AccountSid"), headers.get(SIGNATURE)
        if ingress.verifier.check(target, incoming.signed_fields, account, signature, headers.get(SETTINGS)):
            return False
        ingress.in_flight += 1
        ingress.recorder.record_soon(webhook, self._answering(METERS[route], webhook, asker, began))
        return True

    def _answering(
        self, meter: Meter, webhook: Webhook, asker: Answering, began: float
    ) -> Callable[[NotDurableError | None], None]:
        def answer(error: NotDurableError | None) -> None:
            self._ingress.in_flight -= 1
            if error is None:
                DURABLE[webhook.source].inc()
                self._say.debug("ingress.webhook", call_id=webhook.call_id, source=webhook.source, record=webhook.id)
                asker.answer(self._heads.taken())
            else:
                self._ingress.count_refusal(503, "log_unavailable", None)
                asker.answer(self._heads.put_off())
            meter.received.inc()
            meter.seconds.observe(time.perf_counter() - began)

        return answer


def _is_usual(message: RawRequestMessage) -> bool:
    """Whether a request looks as Twilio's callbacks do, on a connection that is to stay."""
    headers = message.headers
    return (
        message.method == "POST"
        and message.version == HttpVersion11
        and not message.should_close
        and not message.upgrade
        and headers.get(hdrs.CONTENT_TYPE) in _FORMS
        and hdrs.CONTENT_ENCODING not in headers
    )
