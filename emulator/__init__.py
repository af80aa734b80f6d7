"""A local Twilio, good enough to drive a call-control service for real over HTTP.

Numbers, calls, conferences and participants over REST; TwiML fetched and executed; signed callbacks with Twilio's
parameters; dialled people who answer, ring out, are busy or fail by configuration.
It shares no code with what it tests.
Not emulated, and answered with 501 or a debugger alert: messaging, queues, TaskRouter, ``<Dial>`` of numbers.
"""

from emulator.caller import interactive_call
from emulator.config import ApplicationConfig, EmulatorConfig, NumberConfig
from emulator.faults import Chaos
from emulator.keys import stdin_keys
from emulator.people import Answer, Person
from emulator.server import Emulator, create_app, serve
from emulator.switches import Switches

__all__ = [
    "Answer",
    "ApplicationConfig",
    "Chaos",
    "Emulator",
    "EmulatorConfig",
    "NumberConfig",
    "Person",
    "Switches",
    "create_app",
    "interactive_call",
    "serve",
    "stdin_keys",
]
