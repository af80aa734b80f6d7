"""Why a request of Twilio's to a customer's server came to nothing, in plain words, and what to do about it. Pure."""

from emulator.errors import Alert
from emulator.journal import Exchange

BY_STATUS = {
    400: "Your server could not read the request. The fields are form-encoded, as Twilio sends them.",
    401: "Your server wants credentials. Put user:password@ into the URL, or leave authentication to the signature.",
    403: (
        "Your server refused the signature, most likely. Compare the string that was signed, below, with the one that "
        "your server builds: it must use the public URL exactly as configured at Twilio (scheme, host, port, path, "
        "query), every form field, and this account's auth token."
    ),
    404: "Your server has no such path. Compare the URL with your routes; a trailing slash counts.",
    405: "Your server does not take this method here. The method is set beside the URL, or in the TwiML.",
    408: "Your server gave up waiting for the request.",
    413: "Your server found the request too large.",
    415: "Your server does not take forms here: application/x-www-form-urlencoded is what Twilio sends.",
    422: "Your server understood the request and refused its fields. Its answer, below, may say which.",
    429: "Your server was busy. Twilio does not try again unless the URL says so: #rc=2&rp=4xx.",
}
BY_CAUSE = {
    "ct": "Nobody answered at this address: is your server running, and is the host and port right?",
    "rt": "Your server took the connection and did not answer in time (15 s in all, or as #rt= and #tt= say).",
    "partial": "Your server broke off in the middle of its answer. Twilio never tries such a request again.",
    "url": "This is no absolute http or https URL. Check what was configured.",
    "redirects": "Your server redirected more than ten times. Point Twilio to the final URL.",
    "4xx": "Your server refused the request. Its answer, below, may say why.",
    "5xx": "Your server failed. Look at its log for this request; its answer is below.",
    "fault": "A fault that was asked for here made this happen; your server is not to blame.",
}
BY_CODE = {
    Alert.HTTP_FAILURE: "The document could not be fetched. The request's own line says how your server answered.",
    Alert.HTTP_TIMEOUT: BY_CAUSE["rt"],
    Alert.TOO_MANY_REDIRECTS: BY_CAUSE["redirects"],
    Alert.MALFORMED_URL: BY_CAUSE["url"],
    Alert.RESPONSE_TOO_LARGE: "TwiML may be 64 kB long. Send less, or go on in another document with <Redirect>.",
    Alert.PARSE_FAILURE: (
        "The answer is not XML. Often an & or < that is not escaped, text before <?xml …?>, or an error page."
    ),
    Alert.SCHEMA: "The answer is XML but not TwiML as Twilio knows it: an element, an attribute or a value is wrong.",
    Alert.CONTENT_TYPE: "TwiML needs the header Content-Type: text/xml (or application/xml).",
    Alert.COACH_INVALID: "The coach attribute must be the CallSid of somebody who is in this conference.",
    Alert.CONFERENCE_SID_INVALID: "There is no active conference with this SID. One that has ended cannot be joined.",
    Alert.FORBIDDEN_VERB: "Wait, hold and announcement documents may hold Say, Play, Pause and Redirect only.",
    Alert.WHISPER_FORBIDDEN: "What a called party hears before the bridge may not <Dial>.",
    Alert.RELATIVE_URL: "Inline TwiML has no address of its own: write absolute URLs in it.",
    Alert.CALLBACK_EXPIRED: "Callbacks for this resource piled up behind slow answers. Answer 204 at once, work later.",
    Alert.CALLBACK_FAILED: "A status callback was not delivered; the call goes on. The callback's own line says why.",
    Alert.CONFERENCE_CALLBACK_FAILED: (
        "A conference callback was not delivered; the conference goes on. The callback's own line says why."
    ),
    Alert.CONFERENCE_FULL: "The conference has as many participants as its first one allowed.",
    Alert.LABEL_INVALID: "A participant label has 1 to 128 characters, no slash, and is no CallSid.",
    Alert.LABEL_TAKEN: "Another active participant of the conference has this label.",
    Alert.AMD_WITHOUT_CALLBACK: "Machine detection is on and its verdict has nowhere to go: give a callback URL.",
    Alert.URL_AND_TWIML: "Give Url or Twiml. With both, Twilio takes the URL.",
    Alert.NUMBER_INVALID: "A number to dial is written +15550100001.",
    Alert.CONVERSATION_INVALID: "Check the attributes of <Conversation>; the service must be configured here.",
    Alert.CONVERSATION_WITHOUT_WORKER: "Nobody was there for the conversation: configure a worker for its service.",
    Alert.ENQUEUE_INVALID: "<Enqueue> needs a queue's name, or workflowSid of a workflow with valid <Task> JSON.",
    Alert.QUEUE_RESERVATION_INVALID: "reservationSid must be a reservation that is still pending.",
    Alert.ASSIGNMENT_FAILED: "The assignment callback needs an answer 200 within 5 s, or a fallback URL.",
    Alert.ASSIGNMENT_INVALID: "The assignment callback's answer must be JSON, or empty.",
    Alert.INSTRUCTION_INVALID: (
        "The instruction is none of accept, reject, call, redirect, dequeue, conference, or lacks what it needs."
    ),
}


def of_status(status: int) -> str:
    """Return what an HTTP status of the customer's server means here."""
    if status in BY_STATUS:
        return BY_STATUS[status]
    return BY_CAUSE["5xx" if status >= 500 else "4xx"]  # noqa: PLR2004 - HTTP's error classes


def of_code(code: int) -> str:
    """Return what a code of the debugger means, or nothing."""
    return BY_CODE.get(Alert(code), "") if code in {*Alert} else ""


def of_request(entry: Exchange) -> str:
    """Return why a request came to nothing, or nothing when it did not."""
    if entry.error is None:
        return ""
    if entry.fault == "wrong-signature" and entry.cause == "4xx":
        return "A fault that was asked for here signed this request wrongly, and your server refused it: well done."
    if entry.cause in {"4xx", "5xx"} and entry.status is not None:
        return of_status(entry.status)
    return BY_CAUSE.get(entry.cause) or of_code(entry.code or 0)


def of_rest(status: int, code: int | None) -> str:
    """Return why a REST request was refused, or nothing when it was not."""
    if status == 501:  # noqa: PLR2004 - not implemented
        return "Twilio may know this; the local one does not emulate it. The message names the resource or parameter."
    return REST.get(code or 0, "")


REST = {
    20001: "A parameter is missing or has a value that Twilio does not take. The message names it.",
    20003: "The account SID or API key and its secret do not match what this Twilio was started with.",
    20004: "The resource has no such operation. Participants, for one, are listed by the conference's SID only.",
    20009: "Only what is over can be deleted. Hang up first: Status=completed.",
    20404: "There is no such resource, or not any more. Right after its creation Twilio may answer this too.",
    20412: "Somebody else changed it since you fetched it. Fetch again and decide anew.",
    20429: "Too many requests at once. It was not processed: repeat it a little later.",
    20500: "Twilio failed. A POST may have taken effect all the same: look before you repeat it.",
    20503: "Twilio was not available. Look before you repeat a POST.",
    21205: "A URL is missing or is no absolute http or https URL.",
    21210: "From must be a number of this account, or one that it has verified (verified_caller_ids).",
    21211: "To is none of +15550100001, client:name, sip:user@host.",
    21220: "The call is not in the state for this. It may have ended meanwhile.",
    16020: "The conference is full.",
    16022: "The conference has ended. Its name can be used again and makes a new one.",
    16024: "A label has 1 to 128 characters, no slash, and is no CallSid.",
    16026: "Another active participant of this conference has the label. After a repeat of your own create: fine.",
    16027: "Who is on hold cannot be coached.",
    16028: "Who is not in the conference cannot be coached.",
    16099: "The conference is not in progress yet. Kick or hang up its legs instead of ending it.",
}
