"""The policy file of a chaos run: numbers into our rooms, to a Conversations service, into TaskRouter's queue."""

from pathlib import Path

from chaos.centre import QUEUE
from chaos.plan import NUMBER, QUEUE_NUMBER, SERVICE_NUMBER
from cordboard.policies import read_policies
from engine.core.config import CoreConfig
from stack import ACCOUNT

SERVICE = "IS" + "0" * 31 + "1"
WORKER = "client:worker"
_POLICY = f"""
[defaults]
wrap_up_s = 1

["{SERVICE_NUMBER}"]
route = "conversation:{SERVICE}"

["{SERVICE_NUMBER}".conversation]
inbound_timeout_s = 5
on_failure = {{ no_answer = "voicemail", busy = "wait" }}

["{QUEUE_NUMBER}"]
route = "enqueue:{QUEUE}"
ring_timeout_s = 5
"""
"""Nobody at the local Twilio tells TaskRouter that the work after a call is done: its time must be short."""


def write_policy(folder: Path) -> Path:
    """Write the file; gives where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "policy.toml"
    path.write_text(_POLICY, encoding="utf-8")
    return path


def core_of(path: Path) -> CoreConfig:
    """What an engine with that policy file knows, for stepping its calls once more."""
    return CoreConfig(read_policies(path), account_sid=ACCOUNT, number=NUMBER, queues=True)
