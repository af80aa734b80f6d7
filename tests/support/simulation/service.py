"""A Conversations service as far as Cordboard can tell: who waits in `<Connect><Conversation>`, whom it dials (2.9).

It finds one of the plan's people, dials, bridges, tells of it by numbered status callbacks, and asks the action what
then. Like `phones.py` it shares no code with the local Twilio, nor with what it tests.
"""

import asyncio
import math
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from simulation.phones import ACCOUNT, INBOUND, OUTBOUND, Line, Recording
from simulation.plan import Person, Picks

if TYPE_CHECKING:
    from simulation.world import World

SERVICE = "IS" + "7" * 32
_STEP_S, _FINDS_S, _WHISPER_S = 0.5, 0.3, 0.2
_REFUSALS = ("failed-create-conversation", "no-other-participants", "no-existing-conversation", "internal-error",
             "invalid-conversation")  # fmt: skip
_REFUSES = 0.2

Fields = dict[str, str]


class Dialled(Line):
    """A call that the service has made, for `caller`."""

    def __init__(self, sid: str, caller: Line, to: str, created_s: float) -> None:
        super().__init__(sid, caller.to, to, OUTBOUND, created_s)
        self.caller = caller


class Service:
    """One Conversations service."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._rng = Random(f"service-{world.plan.seed}")  # noqa: S311 - of its own, not for secrets
        self._told: dict[str, int] = {}
        """By CallSid of who waits: how many status callbacks there have been."""

    async def serve(self, caller: Line, noun: ET.Element) -> Fields:
        """The whole session; gives what the request to the action says of it."""
        begun = {"WorkerInitiated": _text(_is_worker(caller))}
        await self._until(lambda: caller.is_over, _FINDS_S)
        if caller.is_over:
            return {**begun, "Result": "no-other-participants"}
        if self._rng.random() < _REFUSES:
            await self._until(lambda: caller.is_over, float(noun.get("routingAssignmentTimeout", "5")))
            return {**begun, "Result": self._rng.choice(_REFUSALS)}
        dialled = self._dial(caller)
        talked = await self._ring(dialled, noun)
        told = {"DialCallSid": dialled.sid, "DialCallStatus": dialled.status}
        if not talked:
            return {**begun, **told, "Result": "dialed-call-incomplete"}
        return {**begun, **told, **await self._talk(dialled, noun), "Result": "session-success"}

    def _dial(self, caller: Line) -> Dialled:
        phones = self._world.phones
        to = caller.to if _is_worker(caller) else self._rng.choice(self._agents())
        dialled = Dialled(phones.new_sid("CA"), caller, to, phones.now())
        phones.lines[dialled.sid] = dialled
        return dialled

    def _agents(self) -> list[str]:
        return [person.address for call in self._world.plan.calls for person in call.people[::2]]

    async def _ring(self, dialled: Dialled, noun: ET.Element) -> bool:
        """Whether the two have come together; else the dialled call is over."""
        phones, caller = self._world.phones, dialled.caller
        people = {person.address: person for call in self._world.plan.calls for person in call.people}
        person = people.get(dialled.to, Person(dialled.to))
        self._tell(dialled, noun, "call-initiated")
        if person.picks is Picks.FAILS:
            return self._unreached(dialled, noun, "failed")
        dialled.status = "ringing"
        self._tell(dialled, noun, "call-ringing")
        timeout_s = float(noun.get("inboundTimeout", "60"))
        picks_s = person.after_s if person.picks is not Picks.NO_ANSWER else timeout_s + 1.0
        await self._until(lambda: caller.is_over or dialled.is_over, min(picks_s, timeout_s))
        if caller.is_over:
            return self._unreached(dialled, noun, "canceled")
        if dialled.is_over or picks_s > timeout_s:
            return self._unreached(dialled, noun, "no-answer")
        if person.picks is Picks.BUSY:
            return self._unreached(dialled, noun, "busy")
        dialled.status = "in-progress"
        self._tell(dialled, noun, "call-answered")
        if noun.get("url"):
            await self._until(lambda: caller.is_over or dialled.is_over, _WHISPER_S)
        if person.picks is Picks.REJECTS or any(line.is_over for line in (dialled, caller)):
            return self._unreached(dialled, noun, "completed")
        phones.answer_inbound(caller)
        if person.talks_s:
            self._world.later(person.talks_s, lambda: phones.hang_up(dialled))
        return True

    def _unreached(self, dialled: Dialled, noun: ET.Element, status: str) -> bool:
        self._world.phones.finish(dialled, status)
        self._tell(dialled, noun, "call-completed")
        return False

    async def _talk(self, dialled: Dialled, noun: ET.Element) -> Fields:
        phones, caller = self._world.phones, dialled.caller
        began_s = phones.now()
        recorded = noun.get("record") not in {None, "false", "do-not-record"}
        recording = Recording(phones.new_sid("RE"), caller, noun.get("recordingStatusCallback", ""))
        if recorded:
            phones.recordings[recording.sid] = recording
            phones.record(recording, "in-progress")
        await self._until(lambda: caller.is_over or dialled.is_over)
        phones.finish(dialled, "completed")
        phones.record(recording, "completed") if recorded else None
        self._tell(dialled, noun, "call-completed")
        length = {"DialCallDuration": str(int(phones.now() - began_s)), "DialCallStatus": "completed"}
        return {**length, "RecordingSid": recording.sid} if recorded else length

    def _tell(self, dialled: Dialled, noun: ET.Element, status: str) -> None:
        """Callbacks have their place in the session; what is not subscribed to has one as well."""
        caller = dialled.caller
        self._told[caller.sid] = number = self._told.get(caller.sid, 0) + 1
        if status in noun.get("statusCallbackEvent", "").split():
            form = {"AccountSid": ACCOUNT, "ConversationSid": "CH" + caller.sid[2:], "DialCallSid": dialled.sid,
                    "Status": status, "WorkerInitiated": _text(_is_worker(caller)),
                    "SequenceNumber": str(number)}  # fmt: skip
            self._world.network.tell(noun.get("statusCallback", ""), form)

    async def _until(self, condition: Callable[[], bool], seconds: float | None = None) -> None:
        end = math.inf if seconds is None else self._world.loop.time() + seconds
        while not condition() and (left_s := end - self._world.loop.time()) > 0:
            await asyncio.sleep(min(_STEP_S, left_s))


def _is_worker(caller: Line) -> bool:
    return caller.direction == INBOUND and caller.from_.startswith("client:")


def _text(value: bool) -> str:
    return "true" if value else "false"
