"""Calls inside a Conversations service in the language of `calling`: what Twilio says of a session."""

from typing import Self

from calling import AGENT, CALL_SID, CALLER, NUMBER, Story
from schemas.policy import Conversation, Policy
from schemas.sessions import Session, SessionState
from schemas.webhooks import Source

SERVICE = "IS" + "0" * 31 + "1"
CONVERSATION = "CH" + "0" * 31 + "1"
RECORDING = "RE" + "0" * 31 + "1"
STEPS = ("call-initiated", "call-ringing", "call-answered", "call-completed")
"""The status callbacks of a session in their order; the place in it is their SequenceNumber, from 1."""


class Talk(Story):
    """One call that a Conversations service has taken."""

    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__(policy or conversation())

    def called(self) -> Self:
        """A caller's number asks for TwiML and is handed to the service."""
        return self.webhook(
            Source.VOICE, answered="conversation", CallSid=CALL_SID, From=CALLER, To=NUMBER, CallStatus="ringing",
            Direction="inbound",
        )  # fmt: skip

    def worker_calls(self) -> Self:
        """A worker's browser asks for TwiML and is handed to the service."""
        self._sids = {"agent-1": CALL_SID}
        return self.webhook(
            Source.VOICE, answered="conversation", CallSid=CALL_SID, From=AGENT, To=CALLER, CallStatus="ringing",
            Direction="inbound",
        )  # fmt: skip

    @property
    def dialled(self) -> str:
        """The leg that the service dials."""
        return "customer-1" if "agent-1" in self._sids and self._sids["agent-1"] == CALL_SID else "agent-1"

    def told(self, status: str, number: int | None = None) -> Self:
        """A status callback of the session; `number` 0: it came without one."""
        place = STEPS.index(status) + 1 if number is None else number
        numbered = {"SequenceNumber": str(place)} if place else {}
        return self.webhook(
            Source.CONVERSATION_STATUS, ConversationSid=CONVERSATION, DialCallSid=self.sid_of(self.dialled),
            Status=status, WorkerInitiated="false", **numbered,
        )  # fmt: skip

    def up_to(self, status: str) -> Self:
        """Every status callback up to one, in order."""
        for step in STEPS[: STEPS.index(status) + 1]:
            self.told(step)
        return self

    def ends(self, result: str, dial: str = "", *, led_to: str = "hang_up", gone: bool = False, **more: str) -> Self:
        """The request to the action: the Result, the DialCallStatus, what we answered, whether the caller is gone."""
        dialled = {"DialCallSid": self.sid_of(self.dialled), "DialCallStatus": dial} if dial else {}
        return self.webhook(
            Source.CONVERSATION_ACTION, answered=led_to, CallSid=CALL_SID, Result=result,
            CallStatus="completed" if gone else "in-progress", **dialled, **more,
        )  # fmt: skip

    @property
    def session(self) -> Session:
        """The session; there must be one."""
        assert self.state.session is not None
        return self.state.session

    def where(self) -> SessionState:
        """Where the session is now."""
        return self.session.state


def conversation(**choices: object) -> Policy:
    """The policy of a number that leads to the service."""
    return Policy(route=(f"conversation:{SERVICE}",), conversation=Conversation(**choices))  # type: ignore[arg-type]
