"""Errors: what the REST API answers, and the debugger codes that a failing webhook leaves behind."""

from enum import IntEnum


class EmulatorError(Exception):
    """Root of the emulator's own errors."""


class RestError(EmulatorError):
    """An answer of the REST API that is not a success (twilio-facts.md 3.1, 3.7)."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> dict[str, str | int]:
        """Return the JSON body in the form of the 2010 API."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


class Alert(IntEnum):
    """Codes of Twilio's debugger that the emulator raises (twilio-facts.md 3.7)."""

    HTTP_FAILURE = 11200
    HTTP_TIMEOUT = 11205
    TOO_MANY_REDIRECTS = 11215
    MALFORMED_URL = 11100
    RESPONSE_TOO_LARGE = 11750
    PARSE_FAILURE = 12100
    SCHEMA = 12200
    CONTENT_TYPE = 12300
    COACH_INVALID = 13240
    CONFERENCE_SID_INVALID = 13236
    FORBIDDEN_VERB = 13238
    RELATIVE_URL = 15004
    CALLBACK_EXPIRED = 15002
    CALLBACK_FAILED = 15003
    CONFERENCE_CALLBACK_FAILED = 16011
    CONFERENCE_FULL = 16020
    LABEL_INVALID = 16023
    LABEL_TAKEN = 16025
    AMD_WITHOUT_CALLBACK = 21262
    URL_AND_TWIML = 32019
    NUMBER_INVALID = 13223
    CONVERSATION_INVALID = 32501
    CONVERSATION_WITHOUT_WORKER = 32506
    ENQUEUE_INVALID = 14201
    QUEUE_RESERVATION_INVALID = 14215
    WHISPER_FORBIDDEN = 13201
    ASSIGNMENT_FAILED = 40001
    ASSIGNMENT_INVALID = 40004
    ASSIGNMENT_WITHOUT_INSTRUCTION = 40005
    CALL_NOT_PENDING = 40114
    DEQUEUE_NOT_PENDING = 40135
    FROM_MISSING = 40141
    CONFERENCE_WITHOUT_CALL = 40142
    CONFERENCE_NOT_PENDING = 40144
    CALL_FAILED = 40145
    INSTRUCTION_INVALID = 55555


class DocumentError(EmulatorError):
    """A TwiML document could not be had or not be run; the fallback URL is next."""

    def __init__(self, code: Alert, detail: str, url: str = "") -> None:
        super().__init__(f"{int(code)}: {detail}")
        self.code = code
        self.detail = detail
        self.url = url


def not_found(path: str) -> RestError:
    """404, 20404: no such resource, or not any more."""
    return RestError(404, 20404, f"The requested resource {path} was not found")


def not_emulated(what: str) -> RestError:
    """501: Twilio knows it, this emulator does not; never a silent success."""
    return RestError(501, 20001, f"The emulator does not emulate {what}")
