"""A simulated run in the files of a chaos run: what the chaos checker reads, without a Kafka, and open to tampering."""

from pathlib import Path

import msgspec

from chaos.evidence import Facts
from chaos.recorder import records_file, write_record
from chaos.said import read_said
from chaos.twilio import EXCHANGES_FILE, LineSeen, TaskSeen, Told, WorldSeen
from schemas.topics import Topic
from simulation.evidence import SimulatedLedgers
from simulation.network import Callback
from simulation.phones import Line
from simulation.running import Run


def files_of(run: Run, folder: Path) -> Facts:
    """Write the ledgers of a run into `folder`, and give what the driver of a chaos run would know."""
    world, ledgers = run.world, SimulatedLedgers(run)
    topics = folder / "topics"
    topics.mkdir(parents=True)
    for topic in Topic:
        for partition in range(world.plan.partitions):
            with records_file(topics, topic, partition).open("wb") as file:
                for record in world.log.records(topic, partition):
                    write_record(file, record)
    told = (_told(callback) for callback in world.network.callbacks)
    (folder / EXCHANGES_FILE).write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in told))
    said = read_said(())
    for (topic, partition), times in world.assigned.items():
        said.assigned[topic.value, partition] = times
    return Facts(
        folder=folder,
        partitions=world.plan.partitions,
        world=WorldSeen(0, tuple(_line(line) for line in world.phones.lines.values()), {}, 0, tasks=_tasks(ledgers)),
        said=said,
        commands={command: _call_of_command(ledgers, command) for command in ledgers.commands},
        healed_ms=run.agreed.at_ms,
        healed=dict(run.agreed.calls),
        ended_ms=run.ended_ms,
        numbers=ledgers.numbers,
        core=ledgers.core(),
    )


def _call_of_command(ledgers: SimulatedLedgers, command: str) -> str:
    """A dialled call has its name from the command; an unanswered one would be found nowhere."""
    return next(str(event["subject"]) for event in ledgers.events if event["data"].get("command_id") == command)


def _tasks(ledgers: SimulatedLedgers) -> tuple[TaskSeen, ...]:
    return tuple(TaskSeen(task.call_id, task.name, task.status) for task in ledgers.open_tasks)


def _told(callback: Callback) -> Told:
    return Told(
        kind="call", resource="", url=callback.url, event="", params=callback.form, at=0.0, done_at=0.0,
        status=204 if callback.acked else None, error=None if callback.acked else "no answer", attempts=1,
        put_off=False,
    )  # fmt: skip


def _line(line: Line) -> LineSeen:
    return LineSeen(line.sid, line.direction, line.status, line.status_url, "", line.created_s)
