"""Recordings: on the wire as recorded, never doubled, and believed by what Twilio shows of them."""

import asyncio

import pytest

from action_bench import bench, config_for
from cordboard.clock import system_clock
from fake_twilio import ACCOUNT, CALL_1, PREFIX, FakeTwilio, Reply, refusal
from schemas.actions import RecordingStatus, StartRecording, UpdateRecording
from schemas.records import ActionOutcome

RECORDING = "RE" + "0" * 31 + "1"
RECORDINGS = f"{PREFIX}/Calls/{CALL_1}/Recordings.json"
ONE = f"{PREFIX}/Calls/{CALL_1}/Recordings/{RECORDING}.json"


def shown(status: str, start_time: str | None = None) -> dict[str, object]:
    """A recording as Twilio shows it."""
    return {"sid": RECORDING, "call_sid": CALL_1, "status": status, "start_time": start_time}


def start() -> StartRecording:
    """Record the customer's call."""
    now = system_clock()
    return StartRecording(
        id="call-1.1.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 8000,
        leg="customer-1",
        call_sid=CALL_1,
    )


def change(status: RecordingStatus) -> UpdateRecording:
    """Pause, resume or stop it."""
    now = system_clock()
    return UpdateRecording(
        id="call-1.2.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 8000,
        call_sid=CALL_1,
        recording_sid=RECORDING,
        status=status,
    )


async def test_a_recording_is_started_on_two_channels(twilio: FakeTwilio) -> None:
    """Each side has its channel, every end is told, and the report names the recording."""
    twilio.on("POST", RECORDINGS, Reply(201, shown("in-progress")))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, start())
        (report,) = await at.reports(1)
        await worker.release()
    (request,) = twilio.requests
    url = "https://cordboard.example.test/v1/voice/recording?call=call-1&leg=customer-1&a=call-1.1.0"
    assert request.form == (
        ("RecordingStatusCallbackEvent", "in-progress"),
        ("RecordingStatusCallbackEvent", "completed"),
        ("RecordingStatusCallbackEvent", "absent"),
        ("RecordingStatusCallback", f"{url}#rc=3&rp=all&ct=2000&rt=4000&tt=15000"),
        ("RecordingStatusCallbackMethod", "POST"),
        ("RecordingChannels", "dual"),
    )
    assert (report.outcome, report.recording_sid, report.recording_status) == (
        ActionOutcome.DONE,
        RECORDING,
        "in-progress",
    )


@pytest.mark.parametrize("status", list(RecordingStatus))
async def test_a_recording_is_changed_by_its_sid(twilio: FakeTwilio, status: RecordingStatus) -> None:
    """One field, and the report shows what the recording has become."""
    twilio.on("POST", ONE, Reply(200, shown(status.value)))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, change(status))
        (report,) = await at.reports(1)
        await worker.release()
    assert [request.form for request in twilio.requests] == [(("Status", status.value),)]
    assert (report.outcome, report.recording_status) == (ActionOutcome.DONE, status.value)


@pytest.mark.parametrize(
    ("wanted", "seen", "outcome"),
    [
        (RecordingStatus.PAUSED, "paused", ActionOutcome.DONE),
        (RecordingStatus.PAUSED, "completed", ActionOutcome.FAILED),
        (RecordingStatus.IN_PROGRESS, "paused", ActionOutcome.FAILED),
        (RecordingStatus.STOPPED, "completed", ActionOutcome.DONE),
    ],
)
async def test_a_refusal_is_not_believed_without_a_look(
    twilio: FakeTwilio, wanted: RecordingStatus, seen: str, outcome: ActionOutcome
) -> None:
    """21220 comes for changes that took effect too: what the recording shows decides."""
    twilio.on("POST", ONE, refusal(400, 21220))
    twilio.on("GET", ONE, Reply(200, shown(seen)))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, change(wanted))
        (report,) = await at.reports(1)
        await worker.release()
    assert report.outcome is outcome
    assert report.reason == (None if outcome is ActionOutcome.DONE else "wrong_state")


async def test_a_recording_in_doubt_is_found(twilio: FakeTwilio) -> None:
    """The answer was lost: the one that runs is ours, an old one is not, and no second one is started."""
    old = {"sid": "RE" + "9" * 32, "call_sid": CALL_1, "status": "completed", "start_time": None}
    twilio.on("POST", RECORDINGS, Reply(0))
    twilio.on("GET", RECORDINGS, Reply(200, {"recordings": [old, shown("in-progress")]}))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, start())
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.recording_sid, report.reason) == (ActionOutcome.DONE, RECORDING, "reconciled")
    assert len(twilio.sent("POST", RECORDINGS)) == 1


async def test_a_recording_that_is_not_there_is_started_again(twilio: FakeTwilio) -> None:
    """The call's own list is the whole truth: absent there, it is started once more."""
    before = shown("in-progress", "Wed, 18 Nov 2020 21:07:19 +0000")
    twilio.on("POST", RECORDINGS, Reply(503), Reply(201, shown("in-progress")))
    twilio.on("GET", RECORDINGS, Reply(200, {"recordings": [before]}))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, start())
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.attempts) == (ActionOutcome.DONE, 2)


async def test_an_interrupted_start_is_looked_for_first(twilio: FakeTwilio) -> None:
    """A successor does not start a second recording of one call."""
    stuck = asyncio.Event()
    twilio.on("POST", RECORDINGS, Reply(201, shown("in-progress"), after=stuck.wait))
    twilio.on("GET", RECORDINGS, Reply(200, {"recordings": [shown("in-progress")]}))
    async with bench(config_for(twilio.url)) as at:
        first = await at.take()
        await at.do(first, start())
        await twilio.arrived(1)
        await first.release()
        second = await at.take()
        await at.feed(second)
        (report,) = await at.reports(1)
        await second.release()
        stuck.set()
    assert (report.outcome, report.recording_sid) == (ActionOutcome.DONE, RECORDING)
    assert len(twilio.sent("POST", RECORDINGS)) == 1


async def test_a_call_that_has_ended_cannot_be_recorded(twilio: FakeTwilio) -> None:
    """21220 on a start is a failure with its reason."""
    twilio.on("POST", RECORDINGS, refusal(400, 21220))
    async with bench(config_for(twilio.url)) as at:
        worker = await at.take()
        await at.do(worker, start())
        (report,) = await at.reports(1)
        await worker.release()
    assert (report.outcome, report.reason, report.code) == (ActionOutcome.FAILED, "wrong_state", 21220)
