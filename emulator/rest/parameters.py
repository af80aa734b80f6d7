"""Names of the parameters that several operations share."""


def dated(*names: str) -> frozenset[str]:
    """Return the list filters of dates: each name alone, with ``<`` and with ``>``."""
    return frozenset(name + suffix for name in names for suffix in ("", "<", ">"))


RECORDING = frozenset(
    {
        "Record",
        "RecordingChannels",
        "RecordingTrack",
        "RecordingStatusCallback",
        "RecordingStatusCallbackMethod",
        "RecordingStatusCallbackEvent",
    }
)
DETECTION_TUNING = frozenset(
    {
        "MachineDetectionTimeout",
        "MachineDetectionSpeechThreshold",
        "MachineDetectionSpeechEndThreshold",
        "MachineDetectionSilenceTimeout",
    }
)
PROGRESS = frozenset({"StatusCallback", "StatusCallbackMethod", "StatusCallbackEvent"})
JOINING = frozenset(
    {
        "Label",
        "EarlyMedia",
        "Muted",
        "Beep",
        "StartConferenceOnEnter",
        "EndConferenceOnExit",
        "WaitUrl",
        "WaitMethod",
        "MaxParticipants",
        "Coaching",
        "CallSidToCoach",
    }
)
CONFERENCE = frozenset(
    {
        "ConferenceStatusCallback",
        "ConferenceStatusCallbackMethod",
        "ConferenceStatusCallbackEvent",
        "ConferenceRecord",
        "ConferenceRecordingStatusCallback",
        "ConferenceRecordingStatusCallbackMethod",
        "ConferenceRecordingStatusCallbackEvent",
    }
)
