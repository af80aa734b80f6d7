"""No parameter is swallowed: each that Twilio's files know has an effect, or is refused with 501 and its name."""

import pytest

from emulator import EmulatorConfig, create_app
from emulator_center import Center
from emulator_openapi import Judge
from emulator_surface import Operation, Parameter, Surface, operations, shape


@pytest.fixture
async def surface(center: Center) -> Surface:
    """A local Twilio with one of everything."""
    made = Surface(center)
    await made.prepare()
    return made


def _served(judge: Judge) -> list[Operation]:
    """Return the operations that have a route, those that delete left out: they would take away what others need."""
    routes = {
        f"{route.method} {shape(route.resource.canonical)}"
        for route in create_app(EmulatorConfig()).router.routes()
        if route.resource is not None
    }
    return [one for one in operations(judge) if shape(str(one)) in routes and one.method != "DELETE"]


NOT_EMULATED = {
    "Calls create": """Byoc ClientNotificationUrl Passports RecordingConfigurationId SipAuthPassword SipAuthUsername""",
    "Applications create": """ApiVersion MessageStatusCallback PublicApplicationConnectEnabled SmsFallbackMethod
        SmsFallbackUrl SmsMethod SmsStatusCallback SmsUrl VoiceCallerIdLookup""",
    "Applications update": """ApiVersion MessageStatusCallback PublicApplicationConnectEnabled SmsFallbackMethod
        SmsFallbackUrl SmsMethod SmsStatusCallback SmsUrl VoiceCallerIdLookup""",
    "call Recordings create": "RecordingConfigurationId",
    "IncomingPhoneNumbers create": """AddressSid ApiVersion BundleSid EmergencyAddressSid EmergencyStatus IdentitySid
        SmsApplicationSid SmsFallbackMethod SmsFallbackUrl SmsMethod SmsUrl TrunkSid VoiceCallerIdLookup
        VoiceReceiveMode""",
    "IncomingPhoneNumbers update": """AccountSid AddressSid ApiVersion BundleSid EmergencyAddressSid EmergencyStatus
        IdentitySid SmsApplicationSid SmsFallbackMethod SmsFallbackUrl SmsMethod SmsUrl TrunkSid VoiceCallerIdLookup
        VoiceReceiveMode""",
    "Participants create": """Byoc ClientNotificationUrl EmergencyAddress EmergencyCallerLocation
        EmergencyCallerPosition EmergencyCity EmergencyCountry EmergencyName EmergencyState EmergencyZipCode Passports
        RecordingConfigurationId SipAuthPassword SipAuthUsername""",
    "the filter of Recordings.json": "IncludeSoftDeleted",
    "the filter of a recording": "IncludeSoftDeleted",
    "the filter of TaskQueues": "EvaluateWorkerAttributes Ordering",
    "the filter of Workers": "Ordering",
    "Reservations update": """RecordingStatusCallback RecordingStatusCallbackMethod SipAuthPassword SipAuthUsername
        Supervisor SupervisorMode""",
    "Workflows update": "ReEvaluateTasks",
}
"""What Twilio's files know and the local Twilio refuses with 501, by what the message calls the operation."""


async def test_every_parameter(surface: Surface, spec: Judge) -> None:
    """A wrong value is refused or finds nothing, or the parameter is 501; and what is 501 is in the table."""
    for operation in _served(spec):
        for parameter in operation.parameters:
            await surface.try_one(operation, parameter)
    assert surface.swallowed == []
    assert surface.refused == {name: set(words.split()) for name, words in NOT_EMULATED.items()}


async def test_undocumented_parameters(surface: Surface, spec: Judge) -> None:
    """A parameter that the files do not know is 501 in every form and every list."""
    colour = {"POST": Parameter("Colour", "form", checked=False), "GET": Parameter("Colour", "query", checked=False)}
    tried = 0
    for operation in _served(spec):
        if operation.method == "POST" or not operation.path.removesuffix(".json").endswith("}"):
            status, body = await surface.send(operation, colour[operation.method])
            assert (status, "Colour" in str(body.get("message"))) == (501, True), operation
            tried += 1
    assert tried > 40
