"""`status`: what of a stack runs, and how it does."""

from local.face import Face
from local.hint import command
from local.state import StackFolder

NOT_RUNNING = 3


def status(folder: StackFolder, face: Face) -> int:
    """Returns the exit code: 0 when the stack runs, 3 when it does not."""
    state = folder.read()
    if state.state in ("starting", "running", "stopping") and not state.is_alive:
        state.state = "failed"
        state.failure = f"its supervisor was killed; clean up with: {command('down', folder)}"
    face.show_status(state)
    return 0 if state.state == "running" else NOT_RUNNING
