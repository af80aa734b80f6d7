"""The policy of a number: what a call does where nobody commands it (contracts.md section 6).

A call keeps a copy of the policy that it began with. Text values are checked where the file is read
(`cordboard.policies`); here stands only their shape.
"""

import msgspec


class SupervisionRights(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Patterns over a supervisor's target, per mode. `follow`: stay after a transfer and coach the new agent."""

    monitor: tuple[str, ...] = ("*",)
    coach: tuple[str, ...] = ("*",)
    barge: tuple[str, ...] = ("*",)
    follow: bool = False


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Times in seconds; 0 switches a limit off. `route`: `("wait",)` or targets rung in order."""

    route: tuple[str, ...] = ("wait",)
    max_wait_s: int = 300
    max_wait: str = "announce_end"
    wait_audio: str | None = None
    hold_audio: str | None = None
    whisper: str | None = None
    ring_timeout_s: int = 20
    hold_reminder_s: int = 0
    hold_max_s: int = 0
    hold_max: str = "alert"
    orphan: tuple[str, ...] = ("recall", "announce_end")
    orphan_grace_s: int = 30
    consult_limit_s: int = 0
    consult_limit: str = "alert"
    abandoned_consult_s: int = 30
    customer_left: str = "end"
    wrap_up_s: int = 0
    machine: str = "off"
    recording: str = "off"
    max_pause_s: int = 120
    supervision: SupervisionRights = SupervisionRights()


DEFAULT_POLICY = Policy()


class Policies(msgspec.Struct, frozen=True):
    """The policy of every number; a number without its own has the defaults."""

    defaults: Policy = DEFAULT_POLICY
    by_number: dict[str, Policy] = {}

    def of(self, number: str) -> Policy:
        """The policy of `number` (E.164)."""
        policy = self.by_number.get(number, self.defaults)
        return DEFAULT_POLICY if policy == DEFAULT_POLICY else policy  # the one object that is left out when written
