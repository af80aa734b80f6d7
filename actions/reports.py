"""What goes back into the log: how an action ended, to `call.inbox`; what cannot be read, to the dead letters."""

import structlog

from actions.pause import Pauses
from actions.perform import Ending
from cordboard.errors import LogUnavailableError
from cordboard.log.port import Entry, Log, Record
from cordboard.metrics import DEAD_LETTERS
from schemas.actions import Action, action_type
from schemas.codec import encode
from schemas.ids import report_record_id
from schemas.records import ActionReport
from schemas.topics import Topic, partition_of

_log = structlog.get_logger(__name__)

_AGAIN_MS = 200
_DETAIL_MAX = 500


def report_of(action: Action, ending: Ending, at_ms: int) -> ActionReport:
    """The inbox record that tells how an action ended."""
    return ActionReport(
        id=report_record_id(action.id, ending.outcome.value),
        call_id=action.call_id,
        at=at_ms,
        action=action.id,
        action_type=action_type(action),
        outcome=ending.outcome,
        leg=action.leg,
        code=ending.code,
        status=ending.status,
        reason=ending.reason,
        call_sid=ending.call_sid,
        conference_sid=ending.conference_sid,
        recording_sid=ending.recording_sid,
        recording_status=ending.recording_status,
        task_sid=ending.task_sid,
        attempts=ending.attempts,
        seen=ending.seen,
    )


class Reporter:
    """Publishes until it is durable or the partition is given up."""

    def __init__(self, log: Log, pauses: Pauses) -> None:
        self._log = log
        self._pauses = pauses

    async def publish(self, report: ActionReport) -> None:
        """Report to the call's inbox. Raises `GivenUpError`."""
        key = report.call_id.encode()
        await self._publish(Topic.INBOX, Entry(partition_of(key, self._log.partitions), key, encode(report)))

    async def dead_letter(self, record: Record, detail: str) -> None:
        """Put a record aside with its bytes. Raises `GivenUpError`."""
        key = record.key or b""
        headers = (
            ("reason", b"action_unreadable"),
            ("detail", detail[:_DETAIL_MAX].encode()),
            ("source_topic", record.topic.value.encode()),
        )
        entry = Entry(partition_of(key, self._log.partitions), key, record.value or b"", headers)
        await self._publish(Topic.DEAD_LETTERS, entry)
        DEAD_LETTERS.labels("action_unreadable").inc()
        _log.error("action.unreadable", partition=record.partition, offset=record.offset, reason=detail[:_DETAIL_MAX])

    async def _publish(self, topic: Topic, entry: Entry) -> None:
        """A report that was published twice has one record id, so trying again is always right.

        A partition that is being given up may still say what it has done, once.
        """
        while True:
            try:
                await self._log.publish(topic, (entry,))
            except LogUnavailableError as error:
                _log.warning("action.report_delayed", topic=topic.value, reason=str(error))
            else:
                return
            await self._pauses.until(self._pauses.now() + _AGAIN_MS)
