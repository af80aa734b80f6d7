"""From a request on Twilio's side to its answer: verify, publish, answer. 2xx only for what is durable.

No state is read and nothing is decided here; what a callback means is the engine's business.
"""

import time
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web
from multidict import istr

from cordboard import metrics
from cordboard.clock import Clock
from cordboard.logs import masked
from ingress import conversations, told_once, twiml
from ingress.assignments import instruction_of, workflow_of
from ingress.config import IngressConfig
from ingress.lane import NotDurableError
from ingress.reading import Incoming, RefusedError, read_request
from ingress.recorder import Recorder
from ingress.seldom import Seldom
from ingress.signature import SETTINGS_HEADER, SIGNATURE_HEADER, Refusal, Verifier
from ingress.webhooks import SOURCES, UnplaceableError, read_webhook
from schemas.ids import LegId, call_of_room, is_task_sid
from schemas.policy import Policy
from schemas.prompts import Prompt
from schemas.records import Webhook
from schemas.routes import Route, callback_url
from schemas.webhooks import GIVEN_BACK, ConversationEnded, Source, read_form

ENTERING = frozenset({Route.TWIML, Route.JOIN, Route.CONVERSATION_ACTION, Route.ENQUEUE_ACTION})
"""TwiML routes that leave a record."""

TWIML_ROUTES = ENTERING | {Route.WAIT, Route.HOLD, Route.ANNOUNCE, Route.WHISPER, Route.DIAL_ACTION, Route.VOICEMAIL}
_OUR_QUERY = frozenset({"call", "leg", "a", "say", "play", "audio", "left", "room"})
_TOLD = {Source.VOICEMAIL: "ingress.message_left", Source.CONVERSATION_ACTION: "ingress.conversation_ended"}
_FORBIDDEN = "Forbidden\n"
_METHODS = frozenset({"GET", "POST"})
SIGNATURE = istr(SIGNATURE_HEADER)
SETTINGS = istr(SETTINGS_HEADER)


class Meter:
    """The metrics of one route, looked up once."""

    def __init__(self, label: str) -> None:
        self.received = metrics.WEBHOOKS_RECEIVED.labels(label)
        self.seconds = metrics.WEBHOOK_SECONDS.labels(label)


METERS: dict[Route | None, Meter] = {None: Meter("none"), **{route: Meter(route.value) for route in Route}}
DURABLE = {source: metrics.WEBHOOKS_DURABLE.labels(source.value) for source in SOURCES.values()}


class Ingress:
    """Handles the requests of one public URL."""

    def __init__(self, config: IngressConfig, recorder: Recorder, clock: Clock) -> None:
        self._config = config
        self.clock = clock
        self.recorder = recorder
        self.verifier = Verifier(config.accounts, config.public_url, _count_other_token)
        self.routes = _routes_by_path(config.public_url)
        self.in_flight = 0
        """Signed requests that are not answered yet."""
        self._refusals = Seldom(time.monotonic)
        self._say = structlog.get_logger("ingress").bind()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """The answer to any request, on any path."""
        began = time.perf_counter()
        route = self.routes.get(request.raw_path.partition("?")[0])
        meter = METERS[route]
        meter.received.inc()
        try:
            return await self._guarded(request, route)
        finally:
            meter.seconds.observe(time.perf_counter() - began)

    async def _guarded(self, request: web.BaseRequest, route: Route | None) -> web.Response:
        try:
            _require_signature(request)
            incoming = await read_request(request, self._config.body_timeout_s)
            self._verify(request, incoming)
            return await self._admit(incoming, route)
        except RefusedError as refused:
            self.count_refusal(refused.status, refused.reason, request.remote)
            return _refusal(refused.status)

    @property
    def is_full(self) -> bool:
        """Whether callbacks are to be put off."""
        return self.in_flight >= self._config.max_in_flight

    def count_refusal(self, status: int, reason: str, remote: str | None) -> None:
        """Count it, and tell it unless there are too many to tell."""
        metrics.WEBHOOKS_REFUSED.labels(reason).inc()
        left_out = self._refusals.next()
        if left_out is not None:
            self._say.info("ingress.refused", status=status, reason=reason, remote=remote, left_out=left_out)

    async def _admit(self, incoming: Incoming, route: Route | None) -> web.Response:
        """Refuse what comes on top of what we can do at once. Only Twilio's own count: nobody else can use up its room.

        TwiML goes first: a caller who gets none hears an error, a callback is sent again.
        """
        limit = self._config.max_in_flight
        if self.in_flight >= (limit + limit // 2 if route in TWIML_ROUTES else limit):
            raise RefusedError(503, "overload")
        self.in_flight += 1
        try:
            return await self._answer(incoming, route)
        finally:
            self.in_flight -= 1

    def _verify(self, request: web.BaseRequest, incoming: Incoming) -> None:
        headers = request.headers
        refusal = self.verifier.check(
            incoming.target,
            incoming.signed_fields,
            incoming.fields.get("AccountSid"),
            headers.get(SIGNATURE),
            headers.get(SETTINGS),
        )
        if refusal is None and not incoming.body_is_signed:
            refusal = Refusal.WRONG_BODY
        if refusal is not None:
            raise RefusedError(403, refusal.value)
        if incoming.method not in _METHODS:
            raise RefusedError(405, "method")
        if not incoming.is_form:
            raise RefusedError(415, "not_a_form")

    async def _answer(self, incoming: Incoming, route: Route | None) -> web.Response:
        if route is None:
            await self._set_aside_or_refuse(incoming, UnplaceableError("no_route", f"no route {incoming.path[:200]}"))
            raise RefusedError(404, "no_route")
        if route in ENTERING or (route is Route.VOICEMAIL and "left" in incoming.query):
            return await self._let_in(incoming, route)
        if route is Route.TASK_EVENTS and "TaskSid" not in incoming.fields:
            raise RefusedError(204, "not_about_a_task")
        if route in TWIML_ROUTES:
            return _xml(self._document(incoming, route))
        return await self._take(incoming, route)

    async def _take(self, incoming: Incoming, route: Route) -> web.Response:
        """A callback: 204 once it is durable, in the inbox or among the dead letters."""
        try:
            webhook = read_webhook(SOURCES[route], incoming.query, incoming.fields, self.clock())
        except UnplaceableError as unplaceable:
            await self._set_aside_or_refuse(incoming, unplaceable)
            return _taken(route)
        try:
            await self._record(webhook)
        except NotDurableError as error:
            raise RefusedError(503, "log_unavailable") from error
        self._say.debug("ingress.webhook", call_id=webhook.call_id, source=webhook.source.value, record=webhook.id)
        if route is Route.ASSIGNMENT:
            return web.json_response(instruction_of(self._config, webhook, incoming.fields))
        return _taken(route)

    async def _let_in(self, incoming: Incoming, route: Route) -> web.Response:
        """A leg asks for its TwiML: into the room once that is durable, else it holds the line and asks again.

        Nobody would run that document for a leg that has gone or was led away: its request is refused, to come again.
        A call begins only in the log, so that its timers begin when it does; what happens to it later may be spooled.
        """
        try:
            try:
                webhook = read_webhook(SOURCES[route], incoming.query, told_once.joined(incoming), self.clock())
                answered, document = self._entrance(incoming, webhook)
            except UnplaceableError as unplaceable:
                await self._set_aside(incoming, unplaceable)
                return _xml(twiml.hang_up())
            begins = webhook.source is Source.VOICE
            await self._record(msgspec.structs.replace(webhook, answered=answered), may_wait=not begins)
        except NotDurableError as error:
            if told_once.nobody_listens(incoming):
                raise RefusedError(503, "log_unavailable") from error
            metrics.WEBHOOKS_REFUSED.labels("asked_to_hold").inc()
            self._say.warning("ingress.asked_to_hold", route=route.value)
            return _xml(twiml.please_hold(self._self_url(incoming, route, **told_once.to_carry(incoming))))
        self._say.info(
            _TOLD.get(webhook.source, "ingress.leg_entered"),
            call_id=webhook.call_id,
            leg=webhook.leg,
            source=webhook.source.value,
            answered=answered,
            sender=masked(incoming.fields.get("From")),
            to=masked(incoming.fields.get("To")),
        )
        return _xml(document)

    def _entrance(self, incoming: Incoming, webhook: Webhook) -> tuple[str | None, bytes]:
        """The document for a leg, and the word for it where it is not the room. Raises `UnplaceableError`."""
        match webhook.source:
            case Source.VOICE:
                return self._first_entrance(incoming, webhook)
            case Source.ENQUEUE_ACTION if told_once.joined(incoming).get("QueueResult") not in GIVEN_BACK:
                return None, twiml.hang_up()
            case Source.VOICEMAIL:
                return None, twiml.hang_up()
            case Source.CONVERSATION_ACTION:
                return self._after_conversation(incoming, webhook)
        leg = _leg_of(webhook)
        try:
            whisper = twiml.prompt_of(incoming.query)
        except ValueError as error:
            raise UnplaceableError("bad_prompt", str(error)) from error
        room = incoming.query.get("room")
        if room is not None and not is_task_sid(room) and call_of_room(room) != webhook.call_id:
            raise UnplaceableError("bad_room", "`room` in the query is no room of the call")
        policy = twiml.with_audio_of(incoming.query, self._policy(incoming.fields))
        return None, twiml.into_room(self._config.public_url, webhook.call_id, leg, policy, whisper, room)

    def _first_entrance(self, incoming: Incoming, webhook: Webhook) -> tuple[str | None, bytes]:
        """A call that begins: into its room, or to the Conversations service or the queue that the policy names."""
        policy = self._policy(incoming.fields)
        leg = twiml.first_leg(incoming.fields.get("From", ""))
        where = self._config.public_url, webhook.call_id, leg, policy
        workflow = workflow_of(self._config, policy, incoming.fields)
        if leg == twiml.CALLER_LEG and workflow is not None:
            return twiml.QUEUE, twiml.into_queue(self._config.public_url, webhook.call_id, workflow, policy)
        if policy.service_sid is None:
            return None, twiml.into_room(*where)
        return conversations.CONVERSATION, conversations.into_conversation(*where)

    def _after_conversation(self, incoming: Incoming, webhook: Webhook) -> tuple[str, bytes]:
        form = read_form(webhook.source, webhook.params)
        assert isinstance(form, ConversationEnded)  # noqa: S101 - the form of this source
        policy = self._policy(incoming.fields)
        return conversations.after(
            self._config.public_url, webhook.call_id, _leg_of(webhook), form, incoming.query, policy
        )

    def _document(self, incoming: Incoming, route: Route) -> bytes:
        """The TwiML of the routes that leave no record."""
        if route is Route.DIAL_ACTION:
            return twiml.out_of_room(incoming.fields.get("CallStatus", ""))
        if route is Route.VOICEMAIL:
            return twiml.voicemail(self._self_url(incoming, route, left="1"), self._prompt_of(incoming, route))
        if route in {Route.ANNOUNCE, Route.WHISPER}:
            return self._prompt(incoming, route)
        policy = self._policy(incoming.fields)
        own = policy.wait_audio if route is Route.WAIT else policy.hold_audio
        return twiml.waiting(incoming.query.get("audio") or own, self._self_url(incoming, route))

    def _prompt(self, incoming: Incoming, route: Route) -> bytes:
        return twiml.prompt_once(self._prompt_of(incoming, route))

    def _prompt_of(self, incoming: Incoming, route: Route) -> Prompt | None:
        """What is wrong with a prompt must not end the call: it is left out, and counted."""
        try:
            return twiml.prompt_of(incoming.query)
        except ValueError:
            metrics.WEBHOOKS_REFUSED.labels("bad_prompt").inc()
            self._say.warning("ingress.prompt_left_out", route=route.value, call_id=incoming.query.get("call"))
            return None

    def _policy(self, fields: dict[str, str]) -> Policy:
        """The policy of our number: the called one, the calling one of a leg that we dialled, a browser's account's."""
        if fields.get("Direction", "").startswith("outbound"):
            return self._config.policies.of(fields.get("From", ""))
        if twiml.first_leg(fields.get("From", "")) == twiml.BROWSER_LEG:
            account = self._config.accounts.get(fields.get("AccountSid", ""))
            return self._config.policies.of(account.number if account is not None else "")
        return self._config.policies.of(fields.get("To", ""))

    def _self_url(self, incoming: Incoming, route: Route, **more: str) -> str:
        query = {name: value for name, value in incoming.query.items() if _is_ours(name)}
        return callback_url(self._config.public_url, route, **{**query, **more})

    async def _record(self, webhook: Webhook, *, may_wait: bool = True) -> None:
        await self.recorder.record(webhook, may_wait=may_wait)
        DURABLE[webhook.source].inc()

    async def _set_aside(self, incoming: Incoming, why: UnplaceableError) -> None:
        """A dead letter. `source_topic` says that it came from no topic; `target` has the query, for a redrive."""
        self._say.warning("ingress.set_aside", reason=why.reason, detail=why.detail, path=incoming.path[:200])
        key = incoming.query.get("call") or incoming.fields.get("CallSid", "")
        headers = {"detail": why.detail, "source_topic": "http", "target": incoming.target, "method": incoming.method}
        await self.recorder.set_aside(key, incoming.body, why.reason, headers)

    async def _set_aside_or_refuse(self, incoming: Incoming, why: UnplaceableError) -> None:
        try:
            await self._set_aside(incoming, why)
        except NotDurableError as error:
            raise RefusedError(503, "log_unavailable") from error


def _is_ours(name: str) -> bool:
    return name in _OUR_QUERY or name.startswith(conversations.LED_TO)


def _leg_of(webhook: Webhook) -> LegId:
    if webhook.leg is None:
        raise UnplaceableError("no_leg", "a leg of ours brings `leg` in its query")
    return webhook.leg


def _require_signature(request: web.BaseRequest) -> None:
    """Before anything is read: most of what finds its way to a public port ends here."""
    if SIGNATURE not in request.headers:
        raise RefusedError(403, Refusal.UNSIGNED.value)


def _count_other_token(account_sid: str) -> None:
    metrics.WEBHOOKS_OTHER_TOKEN.labels(account_sid).inc()


def _routes_by_path(public_url: str) -> dict[str, Route]:
    prefix = "/" + public_url.partition("://")[2].partition("/")[2].rstrip("/")
    plain = {route.value: route for route in Route}
    return plain if prefix == "/" else {**{prefix + route.value: route for route in Route}, **plain}


def _refusal(status: int) -> web.Response:
    if status == HTTPStatus.FORBIDDEN:
        return web.Response(status=status, text=_FORBIDDEN)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return web.Response(status=status, headers={"Retry-After": "1"})
    response = web.Response(status=status)
    if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}:
        response.force_close()  # the rest of the body is still on its way
    return response


def _taken(route: Route) -> web.Response:
    """204; an assignment wants an instruction: an empty one says that we act by REST (twilio-facts.md 5.1)."""
    if route is Route.ASSIGNMENT:
        return web.json_response({})
    return web.Response(status=204)


def _xml(document: bytes) -> web.Response:
    return web.Response(body=document, content_type="text/xml", charset="utf-8")
