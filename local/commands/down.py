"""`down`: stops a stack, whatever state it is in, and leaves nothing running."""

from local.face import Face
from local.processes import stop_recorded, sweep, wait_until
from local.state import StackFolder

SUPERVISOR_GRACE_S = 30
SUPERVISOR_SHOWS_UP_S = 5


def down(folder: StackFolder, face: Face) -> int:
    """Returns the exit code."""
    if take_down(folder):
        face.say(f"{folder.stack} is down; its logs stay in {folder.logs}")
    else:
        face.say(f"{folder.stack} was not running")
    return 0


def take_down(folder: StackFolder) -> bool:
    """Ends the supervisor, and what a killed one left. Whether anything ran."""
    if not folder.path.exists():
        return False
    _wait_for_a_new_supervisor(folder)
    state = folder.read()
    was_alive = state.is_alive
    if state.supervisor is not None and was_alive:
        stop_recorded(state.supervisor, SUPERVISOR_GRACE_S)
    left = sweep(folder.processes)
    folder.forget()
    return was_alive or bool(left)


def _wait_for_a_new_supervisor(folder: StackFolder) -> None:
    """One that holds the folder but has not yet written who it is."""
    wait_until(lambda: folder.read().is_alive or not folder.is_locked(), SUPERVISOR_SHOWS_UP_S)
