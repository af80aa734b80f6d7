"""A call from which a record is missing, because it became a dead letter: marked, told, and looked at anew.

The call goes on: people are in it. What it does not know any more Twilio is asked for (reliability.md 2.7).
"""

from engine.core import flags
from engine.core.config import CoreConfig
from engine.core.effects import Step
from engine.core.turn import Turn
from schemas.quarantine import Quarantine
from schemas.records import Command, Inbox
from schemas.state import Call, CallState

_CONFIG = CoreConfig()


def quarantine(call: Call, record: Inbox, reason: str) -> Step:
    """The call with the mark that `record` is missing. What a command would have done nobody can look up."""
    turn = Turn(call, record.at, record.id, _CONFIG)
    before = 0 if call.quarantined is None else call.quarantined.records
    turn.set(quarantined=Quarantine(record.id, reason, record.at, before + 1))
    turn.tell_call("call.quarantined", reason=reason)
    if call.state is not CallState.ENDED and not isinstance(record, Command):
        flags.look_up(turn)
    turn.set(version=call.version + 1)
    return Step(turn.call, tuple(turn.effects))
