"""Every action as the call of twilio-python that carries it out. The only way from an action to the wire."""

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.verbs.announce_all import announce_all
from actions.verbs.create_call import create_call
from actions.verbs.create_participant import create_participant
from actions.verbs.end_conference import end_conference
from actions.verbs.hang_up import hang_up
from actions.verbs.look_up import look_up
from actions.verbs.recordings import start_recording, update_recording
from actions.verbs.redirect_call import redirect_call
from actions.verbs.rejoin_room import rejoin_room
from actions.verbs.remove_participant import remove_participant
from actions.verbs.tasks import annotate_task, create_task, update_reservation, update_task
from actions.verbs.update_participant import update_participant
from schemas.actions import (
    Action,
    AnnotateTask,
    AnnounceAll,
    CreateCall,
    CreateParticipant,
    CreateTask,
    EndConference,
    HangUp,
    LookUp,
    RedirectCall,
    RejoinRoom,
    RemoveParticipant,
    StartRecording,
    UpdateParticipant,
    UpdateRecording,
    UpdateReservation,
    UpdateTask,
)


async def carry_out(account: TwilioAccount, action: Action) -> Effect:  # noqa: C901, PLR0911, PLR0912 - one case per verb
    """Ask Twilio once for what the action wants. Raises `RequestFailedError` with what was heard."""
    match action:
        case CreateParticipant():
            return await create_participant(account, action)
        case CreateCall():
            return await create_call(account, action)
        case UpdateParticipant():
            return await update_participant(account, action)
        case RemoveParticipant():
            return await remove_participant(account, action)
        case EndConference():
            return await end_conference(account, action)
        case HangUp():
            return await hang_up(account, action)
        case AnnounceAll():
            return await announce_all(account, action)
        case RedirectCall():
            return await redirect_call(account, action)
        case RejoinRoom():
            return await rejoin_room(account, action)
        case StartRecording():
            return await start_recording(account, action)
        case UpdateRecording():
            return await update_recording(account, action)
        case CreateTask():
            return await create_task(account, action)
        case UpdateTask():
            return await update_task(account, action)
        case AnnotateTask():
            return await annotate_task(account, action)
        case UpdateReservation():
            return await update_reservation(account, action)
        case LookUp():
            return await look_up(account, action)
