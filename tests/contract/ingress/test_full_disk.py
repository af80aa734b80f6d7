"""The ingress on a journal whose disk is full: nobody is told that something was taken that was not."""

from pathlib import Path

from cordboard.log.sqlite import SqliteLog
from ingress.app import IngressConfig
from schemas.topics import Topic
from signing_twilio import STATUS, VOICE, calling


async def test_a_full_disk_is_told_to_twilio(config: IngressConfig, tmp_path: Path) -> None:
    """No room: callbacks get 503 and no record, callers their TwiML; with room again the same callback gets 204."""
    log = SqliteLog(tmp_path / "journal.db", 4)
    try:
        async with calling(config, log) as twilio:
            assert (await twilio.post("/v1/voice/status", STATUS)).status == 204
            await log.execute([("PRAGMA max_page_count = 1", ())])
            answers = [await twilio.post("/v1/voice/status", {**STATUS, "Pad": "x" * 9000}) for _ in range(3)]
            assert {answer.status for answer in answers} == {503}
            assert all("Retry-After" in answer.headers for answer in answers)
            assert (await twilio.post("/v1/voice/twiml", {**VOICE, "Pad": "x" * 9000})).status == 200
            held = sum(bounds.end for bounds in (await log.bounds(Topic.INBOX)).values())

            await log.execute([("PRAGMA max_page_count = 1000000", ())])
            assert (await twilio.post("/v1/voice/status", {**STATUS, "Pad": "x" * 9000})).status == 204
            assert sum(bounds.end for bounds in (await log.bounds(Topic.INBOX)).values()) > held
    finally:
        await log.aclose()
