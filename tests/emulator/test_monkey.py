"""Anything in any order: whatever a customer and the people in the calls do, the world keeps its own rules."""

import random
from collections import Counter, defaultdict

import pytest

from emulator import Person, Switches
from emulator.entities import ConferenceStatus
from emulator.people import Answer
from emulator.switches import FailedDial, Order
from emulator_bench import ACCOUNT, AGENT, CALLER, EVENTS, NUMBER, TARGET, Bench, BenchFactory

ALL = "initiated ringing answered completed"
ROOMS = ("room-1", "room-2")
ADDRESSES = (AGENT, TARGET, "client:boss", "+15550100005")
UPDATES = (
    {"Hold": "true"},
    {"Hold": "false"},
    {"Muted": "true"},
    {"Muted": "false"},
    {"EndConferenceOnExit": "true"},
    {"EndConferenceOnExit": "false"},
    {"Coaching": "false"},
)
STEPS = 150


class Monkey:
    """Draws what happens next from a seed and does it."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.random = random.Random(seed)  # noqa: S311 - what happens next, from a seed
        self.world = bench.emulator.world

    async def step(self) -> None:
        """Do one thing."""
        deed = self.random.choice(
            (self.call_in, self.dial_in, self.dial_in, self.change, self.change, self.kick, self.hang_up, self.redirect)
        )
        await deed()
        if self.random.random() < 0.05:
            await self.end_room()

    async def call_in(self) -> None:
        """Somebody calls and lands in a room."""
        room, label = self.random.choice(ROOMS), f"c{self.random.randrange(20)}"
        flags = f"startConferenceOnEnter='{self._coin()}' endConferenceOnExit='{self._coin(0.15)}'"
        callbacks = f"statusCallback='{self.bench.url('/conf')}' statusCallbackEvent='{EVENTS}'"
        noun = f"<Conference participantLabel='{label}' {flags} {callbacks}>{room}</Conference>"
        await self.bench.caller(f"<Response><Dial action='/after'>{noun}</Dial><Hangup/></Response>")

    async def dial_in(self) -> None:
        """Somebody is dialled into a room."""
        form = {"From": NUMBER, "To": self.random.choice(ADDRESSES), "EndConferenceOnExit": self._coin(0.15)}
        form |= {"Label": f"a{self.random.randrange(8)}", "StatusCallback": self.bench.url("/leg")}
        form |= {"StatusCallbackEvent": ALL, "ConferenceStatusCallback": self.bench.url("/conf")}
        form |= {"ConferenceStatusCallbackEvent": EVENTS}
        await self._rest("POST", f"/Conferences/{self.random.choice(ROOMS)}/Participants.json", form)

    async def change(self) -> None:
        """A participant is held, muted, changed, or made a coach."""
        room, sid = self._participant()
        form = dict(self.random.choice(UPDATES))
        if self.random.random() < 0.2:
            form = {"CallSidToCoach": self._participant()[1]}
        await self._rest("POST", f"/Conferences/{room}/Participants/{sid}.json", form)

    async def kick(self) -> None:
        """A participant is removed."""
        room, sid = self._participant()
        await self._rest("DELETE", f"/Conferences/{room}/Participants/{sid}.json")

    async def hang_up(self) -> None:
        """A party hangs up, or REST does it."""
        sid = self._live_call()
        if self.random.random() < 0.5:
            await self.bench.control("POST", f"/calls/{sid}/hangup")
        else:
            await self._rest("POST", f"/Calls/{sid}.json", {"Status": self.random.choice(("completed", "canceled"))})

    async def redirect(self) -> None:
        """A call is sent elsewhere."""
        twiml = f"<Response><Dial><Conference>{self.random.choice(ROOMS)}</Conference></Dial></Response>"
        await self._rest("POST", f"/Calls/{self._live_call()}.json", {"Twiml": twiml})

    async def end_room(self) -> None:
        """A conference is ended."""
        await self._rest("POST", f"/Conferences/{self._participant()[0]}.json", {"Status": "completed"})

    async def _rest(self, method: str, path: str, form: dict[str, str] | None = None) -> None:
        status, body = await self.bench.rest(method, path, form)
        assert status < 500, body

    def _coin(self, chance: float = 0.7) -> str:
        return "true" if self.random.random() < chance else "false"

    def _participant(self) -> tuple[str, str]:
        rooms = [room for room in self.world.conferences.values() if room.participants]
        if not rooms:
            return "CF" + "0" * 32, "CA" + "0" * 32
        room = self.random.choice(rooms)
        return room.sid, self.random.choice([*room.participants])

    def _live_call(self) -> str:
        live = [call.sid for call in self.world.calls.values() if call.live]
        return self.random.choice(live) if live else "CA" + "0" * 32


def _check(bench: Bench) -> None:
    """The rules that hold at every moment."""
    world = bench.emulator.world
    active = Counter(room.name for room in world.conferences.values() if room.status is not ConferenceStatus.COMPLETED)
    assert all(count == 1 for count in active.values()), "at most one active conference per name"
    for room in world.conferences.values():
        over = room.status is ConferenceStatus.COMPLETED
        assert over != bool(room.participants), "a conference is over exactly when nobody is in it"
        labels = [member.label for member in room.participants.values() if member.label]
        assert len(labels) == len(set(labels)), "labels are unique among active participants"
        for sid, member in room.participants.items():
            assert member.call.sid == sid
            assert member.call.live, "whoever is in a conference is in a live call"
            assert member.call.participant is member


def _check_history(bench: Bench, *, end_last: bool) -> None:
    """The rules of what was told."""
    numbers: dict[str, list[int]] = defaultdict(list)
    ends: dict[str, list[str]] = defaultdict(list)
    for entry in bench.sent("conference"):
        numbers[entry.resource].append(int(entry.params["SequenceNumber"]))
        ends[entry.resource].append(entry.event)
    for told in numbers.values():
        assert told == [*range(1, len(told) + 1)], "every event of a conference is numbered, without a gap"
    for sid, events in ends.items():
        happened = bench.emulator.world.conferences[sid].ever_joined  # U8: else it ends in silence
        assert events.count("conference-start") <= 1
        assert events.count("conference-end") == happened
        assert not (end_last and happened) or events[-1] == "conference-end"
    for sid, call in bench.emulator.world.calls.items():
        told = [int(entry.params["SequenceNumber"]) for entry in bench.sent("call") if entry.resource == sid]
        assert told == [*range(len(told))]
        assert call.script is None or call.script.done(), "nothing runs for a call that is over"
        if call.progress.url:
            assert [entry.event for entry in bench.sent("call") if entry.resource == sid].count("completed") == 1


PLANS = [
    Switches(),
    Switches(u9_join_before_answered=Order.FIRST, u10_conference_end=Order.RANDOM, u7_failed_dial=FailedDial.NOTHING),
    Switches(u7_failed_dial=FailedDial.JOIN_AND_LEAVE, u17_kicked_twiml_leg_continues=False),
]


@pytest.mark.parametrize("plan", PLANS, ids=["default", "other-orders", "other-ends"])
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_world_keeps_its_rules(start: BenchFactory, plan: Switches, seed: int) -> None:
    """After every one of many random deeds the rules hold; in the end all is over and told exactly once."""
    people = {
        AGENT: Person(ring_s=0.0, hang_up_after_s=0.05),
        TARGET: Person(answer=Answer.BUSY),
        "+15550100005": Person(answer=Answer.NO_ANSWER, ring_s=0.01),
    }
    bench = await start(Bench.config(switches=plan, people=people, default_person=Person(ring_s=0.0)))
    monkey = Monkey(bench, seed)
    for _ in range(STEPS):
        await monkey.step()
        _check(bench)
    world = bench.emulator.world
    for call in [call for call in world.calls.values() if call.live]:
        await bench.control("POST", f"/calls/{call.sid}/hangup")
    await bench.until(lambda: not any(call.live for call in world.calls.values()), "all calls over")
    await bench.settled()
    await bench.until(
        lambda: all(call.script is None or call.script.done() for call in world.calls.values()), "scripts"
    )
    _check(bench)
    _check_history(bench, end_last=plan.u10_conference_end is Order.LAST)
    assert world.rest.total > 100
    assert {account for account, _ in world._rooms} <= {ACCOUNT}
    assert CALLER in {call.from_ for call in world.calls.values()}
