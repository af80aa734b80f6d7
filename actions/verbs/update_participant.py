"""Change a participant: hold, mute, coach, announce, end on exit. There is no `status` (twilio-facts.md 3.3)."""

import msgspec

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.heard import Answer
from actions.transport import asked
from schemas.actions import UpdateParticipant

_ASPECTS = ("hold", "coach", "announce")


async def update_participant(account: TwilioAccount, action: UpdateParticipant) -> Effect:
    """`POST …/Participants/{CallSid}`, once per aspect; nearly every action has one. Raises `RequestFailedError`."""
    answer = Answer(status=0)
    for part in parts_of(action):
        answer = await _updated(account, part)
    return Effect(answer=answer, call_sid=action.call_sid, conference_sid=action.conference_sid)


def parts_of(action: UpdateParticipant) -> list[UpdateParticipant]:
    """The action as updates that Twilio takes: some pairs of aspects are refused (twilio-facts.md 3.3).

    Muting and `end_on_exit` go with the first; muted before coaching ends, or the customer hears the supervisor.
    """
    wanted = [name for name in _ASPECTS if getattr(action, name) is not None]
    if len(wanted) <= 1:
        return [action]
    bare = msgspec.structs.replace(action, **dict.fromkeys(_ASPECTS), muted=None, end_on_exit=None)
    first = {"muted": action.muted, "end_on_exit": action.end_on_exit}
    return [
        msgspec.structs.replace(bare, **{name: getattr(action, name)}, **(first if name == wanted[0] else {}))
        for name in wanted
    ]


async def _updated(account: TwilioAccount, action: UpdateParticipant) -> Answer:
    _, answer = await asked(
        "participants.update",
        account.client.conferences(action.conference_sid)
        .participants(action.call_sid)
        .update_async(**_fields(account, action)),
    )
    return answer


def _fields(account: TwilioAccount, action: UpdateParticipant) -> dict[str, bool | str]:
    """Only what is set is sent. `hold_method` is given because Twilio's default is GET."""
    fields: dict[str, bool | str] = {}
    if action.muted is not None:
        fields["muted"] = action.muted
    if action.end_on_exit is not None:
        fields["end_conference_on_exit"] = action.end_on_exit
    if action.hold is not None:
        fields["hold"] = action.hold
    if action.hold:
        fields |= {"hold_url": account.urls.hold(action, action.hold_audio), "hold_method": "POST"}
    if action.coach is not None:
        fields["coaching"] = bool(action.coach)
    if action.coach:
        fields["call_sid_to_coach"] = action.coach
    if action.announce is not None:
        fields |= {"announce_url": account.urls.announce(action, action.announce), "announce_method": "POST"}
    return fields
