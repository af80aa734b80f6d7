"""A verified callback becomes an inbox record, or a reason why it cannot. Pure.

Which call it belongs to is read from what Twilio signed, in this order: `call` in the query of our own URL, the CallSid
of a call that begins or whose callbacks carry no query (the number's own status callback, a child leg), the friendly
name of the room. A call that nobody knows is the engine's business: it waits for it, then sets the record aside.
"""

from collections.abc import Mapping

import msgspec

from schemas.codec import encode
from schemas.ids import CallId, call_of_room, is_call_id, is_call_sid, is_leg_id
from schemas.records import Webhook
from schemas.routes import Route
from schemas.task_attributes import read_task_attributes
from schemas.webhooks import Source, read_form, record_id

SOURCES: dict[Route, Source] = {
    Route.TWIML: Source.VOICE,
    Route.JOIN: Source.JOINING,
    Route.STATUS: Source.STATUS,
    Route.CONFERENCE: Source.CONFERENCE,
    Route.AMD: Source.AMD,
    Route.RECORDING: Source.RECORDING,
    Route.ENQUEUE_ACTION: Source.ENQUEUE_ACTION,
    Route.CONVERSATION_ACTION: Source.CONVERSATION_ACTION,
    Route.CONVERSATION_STATUS: Source.CONVERSATION_STATUS,
    Route.VOICEMAIL: Source.VOICEMAIL,
    Route.ASSIGNMENT: Source.ASSIGNMENT,
    Route.TASK_EVENTS: Source.TASK,
}
"""The routes that leave a record. `dial-action` leaves none: that the leg has left is told by the conference."""


class UnplaceableError(ValueError):
    """A signed callback that cannot become a record. `reason` is a short word for the dead letter and the metric."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def read_webhook(source: Source, query: Mapping[str, str], fields: Mapping[str, str], at_ms: int) -> Webhook:
    """The record of a callback taken at `at_ms`, from the query of our URL and the form. Raises `UnplaceableError`."""
    params = encode(fields)
    try:
        form = read_form(source, params)
    except msgspec.ValidationError as error:
        raise UnplaceableError("bad_form", f"not a {source.value} callback: {error}") from error
    leg = query.get("leg")
    if leg is not None and not is_leg_id(leg):
        raise UnplaceableError("bad_leg", "`leg` in the query is not a leg id")
    return Webhook(
        id=record_id(source, form),
        call_id=call_of(source, query, fields),
        at=at_ms,
        source=source,
        params=msgspec.Raw(params),
        leg=leg,
        action=query.get("a"),
    )


def call_of(source: Source, query: Mapping[str, str], fields: Mapping[str, str]) -> CallId:
    """The call that a callback belongs to. Raises `UnplaceableError`."""
    call = query.get("call")
    if call is not None:
        if not is_call_id(call):
            raise UnplaceableError("bad_call", "`call` in the query is not a call id")
        return call
    if source in {Source.ASSIGNMENT, Source.TASK}:
        return _by_task(fields.get("TaskAttributes", ""), fields.get("TaskSid", ""))
    if source is Source.JOINING:
        raise UnplaceableError("no_call", "a leg that we dialled brings `call` in its query")
    if source is Source.CONFERENCE:
        return _by_room(fields.get("FriendlyName", ""))
    return _by_call_sid(fields.get("CallSid", ""))


def _by_task(attributes: str, task_sid: str) -> CallId:
    """A task of ours carries the call among its attributes; one that others have enqueued is the call's name."""
    call = read_task_attributes(attributes).call_of(task_sid)
    if call is None:
        raise UnplaceableError("no_call", "neither `call_id` nor a call (`call_sid`) among the task's attributes")
    return call


def _by_room(friendly_name: str) -> CallId:
    call = call_of_room(friendly_name)
    if call is None:
        detail = "neither `call` in the query nor a FriendlyName of ours (`room-…`) or of a task (`WT…`)"
        raise UnplaceableError("no_call", detail)
    return call


def _by_call_sid(call_sid: str) -> CallId:
    if not is_call_sid(call_sid):
        raise UnplaceableError("no_call", "neither `call` in the query nor a CallSid (`CA` and 32 hex digits)")
    return call_sid
