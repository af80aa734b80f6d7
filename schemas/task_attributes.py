"""What we read of a TaskRouter task's attributes: JSON text that many write, we among them (twilio-facts.md 5.2)."""

import msgspec
from msgspec import field

from schemas.ids import CallId, is_call_id, is_task_sid


class People(msgspec.Struct, frozen=True, gc=False):
    """The CallSids of the two whom TaskRouter has brought together."""

    worker: str = ""
    customer: str = ""


class TaskConference(msgspec.Struct, frozen=True, gc=False):
    """The conference that TaskRouter's own instruction has made, named after the task."""

    sid: str = ""
    room_name: str = ""
    participants: People = People()


class TaskAttributes(msgspec.Struct, frozen=True, gc=False):
    """`task` and `call_id` are our own words; `call_sid` and the addresses come from `<Enqueue>`."""

    call_id: str = ""
    task: str = ""
    call_sid: str = ""
    outbound_to: str = ""
    from_: str = field(default="", name="from")
    to: str = ""
    conference: TaskConference | None = None

    @property
    def enqueued(self) -> bool:
        """Whether the task stands for a call that TaskRouter is to build a conference for: none of our own tasks."""
        return not self.task and bool(self.call_sid or self.outbound_to or self.conference)

    def call_of(self, task_sid: str) -> CallId | None:
        """The call that the task belongs to: the one it names, else one named after the task. None for no call."""
        if is_call_id(self.call_id):
            return self.call_id
        return task_sid if self.enqueued and is_task_sid(task_sid) else None


NOTHING = TaskAttributes()


def read_task_attributes(text: str) -> TaskAttributes:
    """The attributes as we know them; none of them for text that is not theirs."""
    try:
        return msgspec.json.decode(text.encode(), type=TaskAttributes)
    except msgspec.MsgspecError:
        return NOTHING
