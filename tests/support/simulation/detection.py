"""Answering-machine detection of the simulated Twilio: some time after the answer, whether it was a person."""

from collections.abc import Callable

from simulation.phones import ACCOUNT, Later, Line, Tell

_LOOKS_EVERY_S, _TAKES_S, _UNTIL_BEEP_S = 0.1, 0.7, 2.0
WHOLE = "DetectMessageEnd"


class Detection:
    """Tells `AnsweredBy` of the lines that a request wants listened to; `machines` are the addresses that are none."""

    def __init__(self, later: Later, tell: Tell, machines: tuple[str, ...]) -> None:
        self._later = later
        self._tell = tell
        self._machines = machines

    def listen(self, line: Line, fields: dict[str, str]) -> None:
        """Listen as the fields of a creation say."""
        url = fields.get("AmdStatusCallback") or fields.get("AsyncAmdStatusCallback")
        if url is None:
            return
        whole = fields.get("MachineDetection") == WHOLE
        machine = line.to in self._machines
        verdict = ("machine_end_beep" if whole else "machine_start") if machine else "human"
        form = {"AccountSid": ACCOUNT, "CallSid": line.sid, "AnsweredBy": verdict, "MachineDetectionDuration": "700"}
        takes_s = _UNTIL_BEEP_S if whole and machine else _TAKES_S
        self._when_answered(line, lambda: self._later(takes_s, lambda: self._say(line, url, form)))

    def _when_answered(self, line: Line, then: Callable[[], None]) -> None:
        if line.status == "in-progress":
            then()
        elif not line.is_over:
            self._later(_LOOKS_EVERY_S, lambda: self._when_answered(line, then))

    def _say(self, line: Line, url: str, form: dict[str, str]) -> None:
        if not line.is_over:
            self._tell(url, form)
