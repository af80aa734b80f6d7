"""What Twilio does is not confirmed everywhere: each such point of twilio-facts.md 9.1 is a switch here.

The field names carry the point's number. Without a switch: U26 (native TaskRouter transfers are Flex's alone, and no
REST resource of Twilio's files makes one).
"""

from enum import StrEnum

import msgspec


class FailedDial(StrEnum):
    """U7: what the conference says of a dialled leg that never came."""

    LEAVE = "leave"
    JOIN_AND_LEAVE = "join-and-leave"
    NOTHING = "nothing"


class Order(StrEnum):
    """U9, U10: which of two things is told first."""

    FIRST = "first"
    LAST = "last"
    RANDOM = "random"


class Counting(StrEnum):
    """U13 and its like for calls: which events consume a SequenceNumber."""

    ALL = "all"
    SUBSCRIBED = "subscribed"


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The unconfirmed points, with the defaults that twilio-facts.md suggests."""

    u1_subaccount_signs: bool = True
    u2_same_token_for_attempts: bool = True
    u3_taskrouter_and_conversation_sign: bool = True
    u4_fallback_carries_error: bool = True
    u5_app_call_sid_is_participants: bool = False
    u6_media_requests_name_conference: bool = True
    u7_failed_dial: FailedDial = FailedDial.LEAVE
    u8_unanswered_conference_ends_loudly: bool = False
    u9_join_before_answered: Order = Order.RANDOM
    u10_conference_end: Order = Order.LAST
    u11_early_media_joins_early: bool = False
    u12_skipped_states_count: bool = False
    u13_counting: Counting = Counting.ALL
    u13_first_sequence_number: int = 1
    u14_label_status: int = 400
    u14_gone_status: int = 404
    u14_state_status: int = 400
    u14_full_status: int = 400
    u14_coach_status: int = 400
    u15_ringing_update_status: int = 404
    u16_delete_reason: str = "participant_updated_via_api"
    u16_hangup_reason: str = "participant_hung_up"
    u17_kicked_twiml_leg_continues: bool = True
    u18_label_reserved_while_ringing: bool = True
    u19_mute_survives_hold: bool = True
    u20_coach_left_alone: str = "silent"
    u21_events_carry_call_sid_to_coach: bool = False
    u22_names_case_sensitive: bool = True
    u23_max_participants: str = "first"
    """Whose MaxParticipants counts: the ``first`` participant's, or each ``joiner``'s own."""
    u24_retry_after_s: int | None = None
    u25_amd_unknown_at_hangup: bool = False
    u27_concurrency_ceiling: int = 100
    u28_conversation_callbacks_retry: bool = False
    conversation_action_defaults_to_document: bool = False
    """Section 2.9: ``<Connect>`` of a ``<Conversation>`` without an action asks its own document again, or ends."""
    taskrouter_iso_timestamps: bool = False
    """Section 5.5: Timestamp of TaskRouter's events as epoch seconds, or ISO."""
    taskrouter_state_status: int = 400
    """The HTTP status for a task or reservation that is not in the state that an update needs."""
    taskrouter_after_conference: str = "wrapping"
    """What a task becomes when its worker leaves the ``conference``: ``wrapping``, ``completed``, ``nothing``."""
    call_counting: Counting = Counting.ALL
    """Recorded payloads show 0 for a lone ``completed`` (status-11), others 3: both exist."""
    read_lag_s: float = 0.0
    """Reads are eventually consistent: lists and fetches do not see the last ``read_lag_s`` seconds."""
    callback_expiry_s: float = 0.0
    """After how long behind slow answers a callback expires (15002); Twilio names no time. 0: never."""
    ring_timeout_buffer_s: float = 0.0
    """Twilio rings up to 5 s longer than ``Timeout``."""
    held_end_on_exit_ignored: bool = True
    """Gotcha 7: EndConferenceOnExit changed while held does not take effect."""
    verified_from_only: bool = True
    """21210 for a From that is neither a number of the account nor a verified one."""
