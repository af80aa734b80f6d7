"""The dialled parties: every behaviour as a leg shows it, in the status, the SIP code and the callbacks."""

import asyncio

import pytest

from emulator import Person, Switches
from emulator_bench import AGENT, NUMBER, TARGET, Bench, BenchFactory

PAUSE = "<Response><Pause length='60'/></Response>"
ALL = "initiated ringing answered completed"


async def _dial(bench: Bench, to: str = TARGET, **form: str) -> str:
    fields = {"To": to, "From": NUMBER, "Twiml": PAUSE, "StatusCallback": bench.url("/cb"), "StatusCallbackEvent": ALL}
    status, body = await bench.rest("POST", "/Calls.json", {**fields, **form})
    assert status == 201, body
    return str(body["sid"])


def _told(bench: Bench) -> list[str]:
    return [hit.params["CallStatus"] for hit in bench.site.got("/cb")]


BEHAVIOURS = [
    ({"answer": "busy"}, ["initiated", "busy"], "486"),
    ({"answer": "fails"}, ["initiated", "failed"], "404"),
    ({"answer": "fails", "sip_code": 503}, ["initiated", "failed"], "503"),
    ({"answer": "rejects", "ring_s": 0.02}, ["initiated", "ringing", "busy"], "603"),
    ({"answer": "no-answer", "ring_s": 0.02}, ["initiated", "ringing", "no-answer"], "487"),
    (
        {"ring_s": 0.0, "answer_after_s": 0.02, "hang_up_after_s": 0.02},
        [*ALL.split()[:2], "in-progress", "completed"],
        "200",
    ),
]


@pytest.mark.parametrize(("person", "told", "sip"), BEHAVIOURS)
async def test_behaviours(bench: Bench, person: dict[str, object], told: list[str], sip: str) -> None:
    """What a person does shows in the order of statuses and in SipResponseCode."""
    await bench.person(TARGET, **person)
    await _dial(bench)
    await bench.until(lambda: len(_told(bench)) == len(told), f"{told}, got {_told(bench)}")
    assert _told(bench) == told
    assert bench.site.got("/cb")[-1].params["SipResponseCode"] == sip


async def test_ring_timeout(bench: Bench) -> None:
    """Nobody answers within Timeout: no-answer, and not before."""
    await bench.person(TARGET, answer="no-answer")
    sid = await _dial(bench, Timeout="1")
    await bench.until(lambda: bench.status(sid) == "no-answer", "the timeout")
    call = bench.emulator.world.calls[sid]
    assert call.ended_at is not None
    assert call.ended_at - call.created_at >= 1


async def test_a_slow_person_loses_against_the_timeout(bench: Bench) -> None:
    """Somebody who would answer after the Timeout does not."""
    await bench.person(TARGET, ring_s=1.2)
    sid = await _dial(bench, Timeout="1")
    await bench.until(lambda: bench.status(sid) == "no-answer", "the timeout")


async def test_asking_person_is_answered_for(bench: Bench) -> None:
    """An asking person rings until the control route answers, and only a ringing leg can be answered."""
    await bench.person(AGENT, answer="asks")
    sid = await _dial(bench, AGENT)
    await bench.until(lambda: bench.status(sid) == "ringing", "the ring")
    assert (await bench.control("POST", f"/calls/{sid}/answer"))[0] == 200
    await bench.until(lambda: bench.status(sid) == "in-progress", "the answer")
    assert (await bench.control("POST", f"/calls/{sid}/answer"))[0] == 409


async def test_parameters_of_an_address_do_not_count(bench: Bench) -> None:
    """client:agent?x=1 is the person client:agent."""
    await bench.person(AGENT, answer="busy")
    sid = await _dial(bench, f"{AGENT}?task=1")
    await bench.until(lambda: bench.status(sid) == "busy", "the busy signal")


async def test_default_person(bench: Bench) -> None:
    """The address default is everybody without a behaviour of their own; forgetting one falls back to it."""
    await bench.person("default", answer="busy")
    await bench.person(TARGET, ring_s=0.0)
    known, other = await _dial(bench), await _dial(bench, AGENT)
    await bench.until(lambda: bench.status(other) == "busy", "the busy signal")
    await bench.until(lambda: bench.status(known) == "in-progress", "the answer")
    assert (await bench.control("DELETE", f"/people/{TARGET}"))[0] == 204
    assert (await bench.control("DELETE", f"/people/{TARGET}"))[0] == 404
    again = await _dial(bench)
    await bench.until(lambda: bench.status(again) == "busy", "the default")


async def test_unknown_behaviour_is_refused(bench: Bench) -> None:
    """A behaviour with an unknown word or key is refused and says why."""
    for body in ({"answer": "sings"}, {"anwser": "busy"}):
        status, problem = await bench.control("PUT", f"/people/{TARGET}", body)
        assert status == 422
        assert "sings" in str(problem) or "anwser" in str(problem)


@pytest.mark.parametrize(
    ("mode", "person", "verdict"),
    [
        ("Enable", {"answer": "machine"}, "machine_start"),
        ("DetectMessageEnd", {"answer": "machine"}, "machine_end_beep"),
        ("Enable", {}, "human"),
        ("Enable", {"answered_by": "fax"}, "fax"),
    ],
)
async def test_machine_detection(bench: Bench, mode: str, person: dict[str, object], verdict: str) -> None:
    """Asynchronous detection calls back with the verdict; synchronous delays the document and tells it there."""
    await bench.person(TARGET, ring_s=0.0, detect_s=0.02, **person)
    amd = {"MachineDetection": mode, "AsyncAmd": "true", "AsyncAmdStatusCallback": bench.url("/amd")}
    await _dial(bench, **amd)
    await bench.until(lambda: bench.site.got("/amd", AnsweredBy=verdict, MachineDetectionDuration="20"), "the verdict")
    fields = {"To": TARGET, "From": NUMBER, "Url": bench.url("/go"), "MachineDetection": mode}
    await bench.rest("POST", "/Calls.json", fields)
    await bench.until(lambda: bench.site.got("/go", AnsweredBy=verdict), "the document request")


@pytest.mark.parametrize("unknown", [False, True])
async def test_no_verdict_when_the_call_ends_first(start: BenchFactory, *, unknown: bool) -> None:
    """A call that ends before the verdict gets none by default, or unknown (U25)."""
    person = Person(ring_s=0.0, detect_s=5.0, hang_up_after_s=0.02)
    bench = await start(Bench.config(switches=Switches(u25_amd_unknown_at_hangup=unknown), people={TARGET: person}))
    amd = {"MachineDetection": "Enable", "AsyncAmd": "true", "AsyncAmdStatusCallback": bench.url("/amd")}
    sid = await _dial(bench, **amd)
    await bench.until(lambda: bench.status(sid) == "completed", "the end")
    await bench.settled()
    assert bool(bench.site.got("/amd", AnsweredBy="unknown")) is unknown


async def test_detection_without_callback_is_an_alert(bench: Bench) -> None:
    """Machine detection without a callback URL is warning 21262."""
    await _dial(bench, MachineDetection="Enable", AsyncAmd="true")
    await bench.until(lambda: 21262 in [alert.code for alert in bench.emulator.world.alerts.entries], "the alert")


async def test_a_ringing_party_declines(bench: Bench) -> None:
    """Hanging up while it rings is declining: busy with 603."""
    await bench.person(TARGET, answer="asks")
    sid = await _dial(bench)
    await bench.until(lambda: bench.status(sid) == "ringing", "the ring")
    await bench.control("POST", f"/calls/{sid}/hangup")
    await bench.until(lambda: bench.site.got("/cb", CallStatus="busy", SipResponseCode="603"), "the callback")


async def test_a_caller_gives_up(bench: Bench) -> None:
    """A caller who hangs up before the answer is no-answer, and the document that comes late is not run."""
    release = asyncio.Event()
    bench.site.gates["/slow"] = release
    bench.site.pages["/slow"] = "<Response><Dial><Conference>room-1</Conference></Dial></Response>"
    await bench.control("PUT", f"/numbers/{NUMBER}", {"voice_url": bench.url("/slow")})
    _, body = await bench.control("POST", "/calls", {"from": "+15550100002", "to": NUMBER})
    sid = str(body["call_sid"])
    await bench.until(lambda: bench.site.got("/slow"), "the webhook")
    await bench.control("POST", f"/calls/{sid}/hangup")
    release.set()
    await bench.until(lambda: bench.sent("twiml")[0].done_at, "the late document")
    assert bench.status(sid) == "no-answer"
    assert not bench.emulator.world.conferences


async def test_an_application_that_rejects(bench: Bench) -> None:
    """An app: participant whose application rejects the call is busy."""
    app = "AP" + "1" * 32
    bench.site.pages["/app"] = "<Response><Reject/></Response>"
    await bench.control("PUT", f"/applications/{app}", {"voice_url": bench.url("/app")})
    await bench.caller_in("room-1")
    form = {"From": NUMBER, "To": f"app:{app}"}
    _, body = await bench.rest("POST", "/Conferences/room-1/Participants.json", form)
    await bench.until(lambda: bench.status(str(body["call_sid"])) == "busy", "the rejection")
    await bench.settled()
    assert bench.sent("conference", ReasonParticipantLeft="participant_add_failed", ParticipantCallStatus="busy")
