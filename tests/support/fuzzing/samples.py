"""Good input of every kind, for the fuzzer to damage."""

import json
from pathlib import Path
from urllib.parse import urlencode

from schemas.codec import encode
from schemas.commands import type_of
from schemas.examples import CALL, COMMAND_DATA, SOURCE

_PAYLOADS = Path(__file__).parents[2] / "unit" / "ingress" / "payloads.jsonl"
FORMS: tuple[dict[str, str], ...] = tuple(
    {name: str(value) for name, value in json.loads(line)["params"].items()}
    for line in _PAYLOADS.read_text().splitlines()
)
BODIES = tuple(urlencode(form).encode() for form in FORMS)
TARGETS = (
    "phone:+15550122", "sip:anna@example.com;transport=tls", "client:anna.b%40c", "queue:billing",
    "app:AP00000000000000000000000000000001?skill=billing&lang=en",
)  # fmt: skip
EVENTS = tuple(
    encode(
        {
            "specversion": "1.0", "id": f"c-{name}", "source": SOURCE, "type": type_of(name), "subject": CALL,
            "deadline": "2026-11-21T10:00:00Z", "time": "2026-11-21T09:59:00+01:00", "data": data,
        }
    )
    for name, data in COMMAND_DATA.items()
)  # fmt: skip
POLICIES = (
    '[defaults]\nroute = "wait"\nmax_wait_s = 120\nmax_wait = "voicemail"\nring_timeout_s = 25\n',
    '["+15550100"]\nroute = ["client:anna", "phone:+15550122"]\norphan = ["recall", "announce_end"]\n',
    '[defaults]\nhold_audio = { say = "One moment." }\nwait_audio = "https://a.example/x.mp3"\nhold_max_s = 60\n',
    '[defaults]\nmachine = "hang_up"\nrecording = "from_start"\n',
    '[defaults]\nsupervision = { monitor = ["client:l*"], follow = true }\n',
    '["+15550101"]\nroute = "app:AP00000000000000000000000000000001?skill=billing"\nwhisper = { say = "A caller" }\n',
)
TEXTS = (
    "One moment, please.", "https://media.example.com/hold.mp3", "http://a.example/?x=1&y=2#z", CALL, "agent-1",
    "Grüße & <Küsse>", "/v1/voice/wait?call=CA1&leg=customer-1",
)  # fmt: skip
TARGET_PATHS = (
    f"/v1/voice/status?call={CALL}&leg=agent-1&a=action-1", f"/v1/voice/conference?call={CALL}", "/v1/voice/twiml",
    f"/v1/voice/wait?call={CALL}&audio=https%3A%2F%2Fa.example%2Fx.mp3", f"/v1/voice/recording?call={CALL}",
    f"/v1/voice/amd?call={CALL}&leg=customer-1", f"/v1/voice/conference-join?call={CALL}&leg=agent-1",
)  # fmt: skip
