"""A local Twilio, good enough to drive a call-control service for real over HTTP.

Numbers, calls, conferences and participants over REST; TwiML fetched and executed; signed callbacks with Twilio's
parameters; dialled people who answer, ring out, are busy or fail by configuration.
It shares no code with what it tests.
TaskRouter and call queues beside them. Not emulated, and answered with 501 or a debugger alert: messaging, Flex, Video.
"""

from emulator.caller import interactive_call
from emulator.config import ApplicationConfig, ConversationConfig, EmulatorConfig, NumberConfig
from emulator.faults import Chaos
from emulator.keys import stdin_keys
from emulator.people import Answer, Person, Share
from emulator.player import play_scenario
from emulator.server import Emulator, create_app, run_virtual, serve
from emulator.switches import Switches
from emulator.taskrouter.config import TaskRouterConfig, WorkerConfig
from emulator.virtual import VirtualClock, VirtualLoop

__all__ = [
    "Answer",
    "ApplicationConfig",
    "Chaos",
    "ConversationConfig",
    "Emulator",
    "EmulatorConfig",
    "NumberConfig",
    "Person",
    "Share",
    "Switches",
    "TaskRouterConfig",
    "VirtualClock",
    "VirtualLoop",
    "WorkerConfig",
    "create_app",
    "interactive_call",
    "play_scenario",
    "run_virtual",
    "serve",
    "stdin_keys",
]
