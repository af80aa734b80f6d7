"""What a parameter's value must look like, told by its name: Twilio names the same things alike everywhere."""

from urllib.parse import urlsplit

from emulator.errors import RestError
from emulator.sids import is_sid

METHODS = frozenset({"GET", "POST"})
TASKROUTER_URLS = frozenset({"EventCallbackUrl", "AssignmentCallbackUrl", "FallbackAssignmentCallbackUrl"})
NUMBERS = frozenset(
    {
        "TimeLimit",
        "Timeout",
        "CallTimeout",
        "DequeueTimeout",
        "MaxParticipants",
        "MachineDetectionTimeout",
        "MachineDetectionSpeechThreshold",
        "MachineDetectionSpeechEndThreshold",
        "MachineDetectionSilenceTimeout",
    }
)
NUMBER_CODES = {"Timeout": 21208}
SIDS = {
    "VoiceApplicationSid": "AP",
    "DequeuePostWorkActivitySid": "WA",
    "PostWorkActivitySid": "WA",
    "RedirectCallSid": "CA",
}
TRIMS = frozenset({"trim-silence", "do-not-trim"})
WORDS = {
    "Trim": TRIMS,
    "ConferenceTrim": TRIMS,
    "JitterBufferSize": frozenset({"large", "medium", "small", "off"}),
    "Region": frozenset({"us1", "us2", "ie1", "de1", "sg1", "br1", "au1", "jp1"}),
    "PauseBehavior": frozenset({"silence", "skip"}),
}
"""Parameters without an effect here whose values Twilio lists all the same (twilio-facts.md 3.3, 3.5)."""
INVALID, INVALID_URL, INVALID_CALLBACK = 20001, 21205, 21609


def check(name: str, value: str) -> None:
    """Refuse a value that cannot be right, whether or not the operation would come to use it. Empty is always right.

    Raises:
        RestError: 400 with 21205 or 21609 for a URL, 21208 for a Timeout, else 20001.

    """
    if not value:
        return
    if name.endswith("Method"):
        if value.upper() not in METHODS:
            raise _invalid(name, value, "GET or POST")
    elif name.endswith("Url"):
        check_url(name, value, INVALID if name in TASKROUTER_URLS else INVALID_URL)
    elif name.endswith("Callback"):
        check_url(name, value, INVALID_CALLBACK)
    elif name in NUMBERS and not value.isdigit():
        raise _invalid(name, value, "a number", NUMBER_CODES.get(name, INVALID))
    elif name in WORDS and value not in WORDS[name]:
        raise _invalid(name, value, f"one of {sorted(WORDS[name])}")
    elif name in SIDS and not is_sid(value, SIDS[name]):
        raise _invalid(name, value, f"a SID that begins with {SIDS[name]}")


def check_url(name: str, value: str, code: int) -> None:
    """Refuse what is no absolute http(s) URL.

    Raises:
        RestError: 400 with the code.

    """
    try:
        parts = urlsplit(value)
        right = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        right = False
    if not right:
        raise RestError(400, code, f"{name} is not a valid URL: expected an absolute http(s) URL")


def _invalid(name: str, value: str, expected: str, code: int = INVALID) -> RestError:
    return RestError(400, code, f"Invalid {name} '{value}': expected {expected}")
