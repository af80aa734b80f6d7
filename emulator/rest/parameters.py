"""Names of the parameters that several operations share."""

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
