"""The answer to TaskRouter's assignment callback (twilio-facts.md 5.1, 5.2). Pure: of the request and the settings.

A task of ours is served by REST: an empty instruction says so. One whose caller waits in TaskRouter's own queue is to
become a conference, and its callbacks are to lead to the call.
"""

from collections.abc import Mapping

from ingress.config import IngressConfig
from schemas.policy import Policy
from schemas.records import Webhook
from schemas.routes import CALL_EVENTS, Route, callback_url
from schemas.targets import ENQUEUE
from schemas.task_attributes import read_task_attributes

Instruction = Mapping[str, str | bool | int]
NO_INSTRUCTION: Instruction = {}
ADOPTED_EVENTS = ("start", "end", "join", "leave", "mute", "hold")
"""The instruction knows no `modify` and no `announcement`."""


def workflow_of(config: IngressConfig, policy: Policy, fields: Mapping[str, str]) -> str | None:
    """The account's workflow, in whose queue a caller is put; None where the policy has no such route."""
    if not policy.route[0].startswith(ENQUEUE):
        return None
    account = config.accounts.get(fields.get("AccountSid", ""))
    return account.taskrouter_workflow if account is not None else None


def instruction_of(config: IngressConfig, webhook: Webhook, fields: Mapping[str, str]) -> Instruction:
    """The instruction for the reservation that `webhook` is about. Nobody's leaving ends the room.

    `a` in the URL of the worker's leg is the reservation: so its call is known before it is in the conference.
    """
    given = read_task_attributes(fields.get("TaskAttributes", ""))
    if not given.enqueued:
        return NO_INSTRUCTION
    account = config.accounts.get(fields.get("AccountSid", ""))
    ours = given.from_ if given.outbound_to else given.to
    number = ours if ours.startswith("+") else (account.number if account is not None else "")
    reservation = fields.get("ReservationSid")
    return {
        "instruction": "conference",
        "from": number,
        "timeout": config.policies.of(number).ring_timeout_s,
        "beep": "false",
        "end_conference_on_exit": False,
        "end_conference_on_customer_exit": False,
        "beep_on_customer_entrance": False,
        "status_callback": callback_url(config.public_url, Route.STATUS, call=webhook.call_id, a=reservation),
        "status_callback_event": " ".join(CALL_EVENTS),
        "conference_status_callback": callback_url(config.public_url, Route.CONFERENCE, call=webhook.call_id),
        "conference_status_callback_event": " ".join(ADOPTED_EVENTS),
    }
