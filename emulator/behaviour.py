"""What people do in a call, by what they notice: hang up, give up, press keys, end a session (``people.Person``).

A listener of the event bus that sets timers and changes nothing at once: what it hears of is still happening.
"""

from collections.abc import Callable

from emulator import call as calls
from emulator.clock import Timer
from emulator.entities import Call, Direction
from emulator.journal import Event
from emulator.world import World


class Behaviours:
    """Everybody's behaviour in calls that go on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._patience: dict[str, Timer] = {}
        self._held: dict[str, Timer] = {}
        self._prompts: dict[str, int] = {}
        self._reactions: dict[str, Callable[[Call, Event], None]] = {
            "call.ringing": self._rings,
            "call.in-progress": self._answered,
            "hears": self._hears,
            "prompted": self._prompted,
            "session.started": self._session,
            "conference.participant-hold": self._hold,
            "conference.participant-unhold": self._unhold,
            "conference.participant-leave": self._unhold,
        }
        world.events.listen(self._notice)

    def _notice(self, event: Event) -> None:
        if event.kind.startswith("call.") and event.kind not in self._reactions:
            self._forget(event.call_sid)
            return
        react = self._reactions.get(event.kind)
        call = self._world.calls.get(event.call_sid) if react else None
        if react is not None and call is not None:
            react(call, event)

    def _forget(self, call_sid: str) -> None:
        """Nothing is to come in a call that has ended, or has not begun."""
        for kept in (self._prompts, self._patience, self._held):
            kept.pop(call_sid, None)

    def _later(self, call: Call, delay_s: float, deed: Callable[[], None]) -> Timer:
        """Set a timer that ends with the call."""
        timer = self._world.clock.call_later(delay_s, deed)
        call.timers.append(timer)
        return timer

    def _hang_up_in(self, call: Call, delay_s: float) -> Timer:
        return self._later(call, delay_s, lambda: calls.hang_up(self._world, call))

    def _rings(self, call: Call, _: Event) -> None:
        if call.direction is Direction.INBOUND:
            self._wait(call)

    def _wait(self, call: Call) -> None:
        if call.person.gives_up_after_s is not None:
            self._patience[call.sid] = self._hang_up_in(call, call.person.gives_up_after_s)

    def _answered(self, call: Call, _: Event) -> None:
        person = call.person
        if person.hang_up_after_s is not None:
            self._hang_up_in(call, person.hang_up_after_s)
        if call.direction is Direction.INBOUND:
            return
        self._wait(call)
        if person.machine:
            self._later(call, person.beeps_after_s, lambda: self._world.tell("beep", call, to=call.to))

    def _hears(self, call: Call, event: Event) -> None:
        patience = self._patience.pop(call.sid, None) if event.data.get("people") else None
        if patience is not None:
            patience.cancel()

    def _prompted(self, call: Call, _: Event) -> None:
        count = self._prompts.get(call.sid, 0)
        if count < len(call.person.presses):
            self._prompts[call.sid] = count + 1
            keys = call.person.presses[count]
            self._later(call, call.person.press_after_s, lambda: _press(call, keys))

    def _session(self, call: Call, _: Event) -> None:
        if call.person.session_s is not None:
            self._later(call, call.person.session_s, call.session_over.set)

    def _hold(self, call: Call, _: Event) -> None:
        if call.person.hang_up_held_after_s is not None:
            self._held[call.sid] = self._hang_up_in(call, call.person.hang_up_held_after_s)

    def _unhold(self, call: Call, _: Event) -> None:
        held = self._held.pop(call.sid, None)
        if held is not None:
            held.cancel()


def _press(call: Call, keys: str) -> None:
    for key in keys[: call.digits.maxsize - call.digits.qsize()]:
        call.digits.put_nowait(key)
