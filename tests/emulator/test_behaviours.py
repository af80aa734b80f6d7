"""What people do in a call that goes on: in virtual time, where every second counts."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec
import pytest

from emulator import Person, Share, VirtualClock, VirtualLoop, serve
from emulator.entities import Call
from emulator.people import Answer, People, draw
from emulator_bench import CALLER, EVENTS, NUMBER, TARGET, Bench, Site

HOUR = 3600.0
PAUSE = "<Response><Pause length='600'/></Response>"
ROOM = "<Response><Dial><Conference startConferenceOnEnter='true'>room-1</Conference></Dial></Response>"


def _in(pages: dict[str, str], play: Callable[[Bench, VirtualClock], Awaitable[None]], **people: Person) -> None:
    """Play with a bench in virtual time whose number leads to the page ``/voice``."""

    async def run() -> None:
        clock = VirtualClock(start=0.0, grace_s=0.0)
        config = Bench.config(default_person=people.pop("default", Person(ring_s=0.0)), say_s=5.0)
        async with Site().running() as site, serve(config, clock) as emulator, aiohttp.ClientSession() as session:
            bench = Bench(emulator, site, session)
            site.pages |= pages
            await bench.control("PUT", f"/numbers/{NUMBER}", {"voice_url": bench.url("/voice")})
            await play(bench, clock)
            assert emulator.world.crashes == 0

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


async def _call(bench: Bench, **person: object) -> Call:
    wish = {"from": CALLER, "to": NUMBER, "person": person}
    _, body = await bench.control("POST", "/calls", wish)
    await _pass(bench, 0.0)
    return bench.emulator.world.calls[str(body["call_sid"])]


async def _pass(bench: Bench, seconds: float) -> None:
    status, _ = await bench.control("POST", "/clock", {"pass_s": seconds})
    assert status == 200


def test_a_caller_hangs_up() -> None:
    """A caller hangs up so many seconds after the answer, as a dialled party does."""

    async def play(bench: Bench, _: VirtualClock) -> None:
        call = await _call(bench, hang_up_after_s=42)
        await _pass(bench, HOUR)
        assert (call.status, call.ended_at) == ("completed", 42.0)

    _in({"/voice": PAUSE}, play)


@pytest.mark.parametrize(("answers", "ended_at"), [(True, None), (False, 30.0)])
def test_a_caller_gives_up(answers: bool, ended_at: float | None) -> None:
    """Whoever has nobody to talk to gives up after a while; whoever talks by then does not."""
    dial = f"<Response><Dial timeout='600'><Number>{TARGET}</Number></Dial></Response>"
    who = Person(answer_after_s=20, ring_s=0.0) if answers else Person(answer=Answer.NO_ANSWER)

    async def play(bench: Bench, _: VirtualClock) -> None:
        call = await _call(bench, gives_up_after_s=30)
        await _pass(bench, 300)
        assert call.ended_at == ended_at

    _in({"/voice": dial}, play, default=who)


@pytest.mark.parametrize(("resumed_at", "ended_at"), [(None, 30.0), (15.0, None)])
def test_a_held_caller_hangs_up(resumed_at: float | None, ended_at: float | None) -> None:
    """Held for 20 s a caller hangs up; resumed before, it stays."""

    async def play(bench: Bench, clock: VirtualClock) -> None:
        call = await _call(bench, hang_up_held_after_s=20)
        participant = call.participant
        assert participant is not None
        path = f"/Conferences/{participant.conference.sid}/Participants/{call.sid}.json"
        await _pass(bench, 10)
        assert (await bench.rest("POST", path, {"Hold": "true"}))[0] == 200
        if resumed_at is not None:
            await _pass(bench, resumed_at - clock.now())
            assert (await bench.rest("POST", path, {"Hold": "false"}))[0] == 200
        await _pass(bench, 300)
        assert call.ended_at == ended_at

    _in({"/voice": ROOM.replace("'true'", f"'true' statusCallbackEvent='{EVENTS}'")}, play)


def test_keys_at_prompts() -> None:
    """At each prompt the next keys are pressed, so long after it has begun; then no more."""
    ask = "<Response><Gather numDigits='{}' timeout='5'><Say>Which?</Say></Gather><Hangup/></Response>"
    pages = {"/voice": ask.format(1).replace("<Gather", "<Gather action='/two'"), "/two": ask.format(3)}

    async def play(bench: Bench, clock: VirtualClock) -> None:
        await _call(bench, presses=["1", "407"], press_after_s=2)
        await _pass(bench, 2)
        assert bench.site.got("/two", Digits="1")
        await _pass(bench, 2)
        assert clock.now() == 4.0
        assert bench.site.got("/two", Digits="407")
        await _pass(bench, 300)
        assert len(bench.site.got("/two")) == 2

    _in(pages, play)


def test_a_session_ends() -> None:
    """A session of ``<Connect>`` lasts as long as the person makes it."""
    connect = "<Response><Connect action='/after'><Stream url='wss://example.com/'/></Connect></Response>"

    async def play(bench: Bench, _: VirtualClock) -> None:
        call = await _call(bench, session_s=90)
        await _pass(bench, HOUR)
        assert bench.site.got("/after")
        assert call.ended_at == 90.0

    _in({"/voice": connect}, play)


@pytest.mark.parametrize(
    ("mode", "person", "verdict", "milliseconds"),
    [
        ("DetectMessageEnd", Person(answer=Answer.VOICEMAIL, ring_s=0.0), "machine_end_beep", "4000"),
        ("DetectMessageEnd", Person(answer=Answer.VOICEMAIL, ring_s=0.0, greeting_s=12), "machine_end_beep", "12000"),
        ("Enable", Person(answer=Answer.VOICEMAIL, ring_s=0.0, detect_s=1.5), "machine_start", "1500"),
        ("DetectMessageEnd", Person(ring_s=0.0, detect_s=2), "human", "2000"),
    ],
)
def test_voicemail(mode: str, person: Person, verdict: str, milliseconds: str) -> None:
    """A voicemail greets, then beeps; who waits for the end of its message is told at the beep."""

    async def play(bench: Bench, _: VirtualClock) -> None:
        form = {"To": TARGET, "From": NUMBER, "Twiml": PAUSE, "MachineDetection": mode, "AsyncAmd": "true"}
        await bench.rest("POST", "/Calls.json", {**form, "AsyncAmdStatusCallback": bench.url("/amd")})
        await _pass(bench, 60)
        assert bench.site.got("/amd", AnsweredBy=verdict, MachineDetectionDuration=milliseconds)
        beeps = [event.at for event in bench.emulator.world.events.journal.entries if event.kind == "beep"]
        assert beeps == ([person.beeps_after_s] if person.machine else [])

    _in({}, play, default=person)


def test_a_verdict_that_takes_too_long() -> None:
    """Nobody knows who answered once the request's time for finding out is over, by REST and in a document."""
    dial = (
        "<Response><Dial><Number machineDetection='DetectMessageEnd' machineDetectionTimeout='5' "
        "amdStatusCallback='/amd'>+15550155</Number></Dial></Response>"
    )

    async def play(bench: Bench, _: VirtualClock) -> None:
        form = {
            "To": TARGET,
            "From": NUMBER,
            "Twiml": PAUSE,
            "MachineDetection": "DetectMessageEnd",
            "AsyncAmd": "true",
        }
        form |= {"MachineDetectionTimeout": "5", "AsyncAmdStatusCallback": bench.url("/amd")}
        await bench.rest("POST", "/Calls.json", form)
        await _pass(bench, 60)
        assert len(bench.site.got("/amd", AnsweredBy="unknown", MachineDetectionDuration="5000")) == 1
        await _call(bench)
        await _pass(bench, 60)
        assert len(bench.site.got("/amd", AnsweredBy="unknown", MachineDetectionDuration="5000")) == 2

    _in({"/voice": dial}, play, default=Person(answer=Answer.VOICEMAIL, ring_s=0.0, greeting_s=12))


def test_a_crowd() -> None:
    """Where nobody is configured one meets a crowd in its proportions, the same for the same seed."""
    crowd = (Share(share=9, person=Person()), Share(share=1, person=Person(answer=Answer.BUSY)))

    def met(seed: int) -> list[Person]:
        people = People({TARGET: Person(answer=Answer.FAILS)}, Person(), crowd, seed)
        assert people.dialled(TARGET).answer is Answer.FAILS
        assert people.calling(CALLER) == Person()
        return [people.dialled(NUMBER) for _ in range(1000)]

    busy = sum(person.answer is Answer.BUSY for person in met(1))
    assert 60 < busy < 140
    assert met(1) == met(1) != met(2)
    assert draw(crowd, random.Random(0)) in crowd  # noqa: S311 - chance for tests


async def test_a_crowd_is_put(bench: Bench) -> None:
    """The control route takes a crowd, and refuses shares that are none."""
    await bench.person("default", answer="no-answer")
    assert (await bench.control("PUT", "/crowd", {"crowd": [{"person": {"answer": "busy"}}]}))[0] == 200
    form = {"To": TARGET, "From": NUMBER, "Twiml": PAUSE}
    _, body = await bench.rest("POST", "/Calls.json", form)
    await bench.until(lambda: bench.status(str(body["sid"])) == "busy", "the busy signal")
    assert (await bench.control("PUT", "/crowd", {"crowd": [{"share": 0, "person": {}}]}))[0] == 422


@pytest.mark.parametrize("keys", [{"presses": ["12x"]}, {"hang_up_after_s": -1}, {"presses": [""]}])
def test_impossible_people(keys: dict[str, object]) -> None:
    """Keys that no telephone has, and times before now, are refused."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(keys, Person)
