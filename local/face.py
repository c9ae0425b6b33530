"""What a person or a program sees: progress on standard error, the result on standard output.

In a terminal with colours, elsewhere as plain lines without any moving part, so that CI logs read as well.
"""

import json
from typing import Any

from rich.console import Console
from rich.text import Text

from local.hint import command, python
from local.progress import Event
from local.state import StackFolder, StackState

SAMPLE_CALL = (
    "import openai; print(openai.OpenAI().responses.create("
    'model="gpt-4o-mini", input="Are you there?").output_text)'
)

MARKS = {
    "step": ("✓", "green"),
    "resource": ("+", "cyan"),
    "note": ("·", "yellow"),
    "ready": ("✓", "bold green"),
}


class Face:
    """as_json: results as one JSON object."""

    def __init__(self, as_json: bool, out: Console | None = None, err: Console | None = None) -> None:
        self._as_json = as_json
        self._out = out or Console(highlight=False, soft_wrap=True, emoji=False)
        self._err = err or Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

    def say(self, text: str) -> None:
        self._err.print(Text(text))

    def fail(self, text: str) -> None:
        self._err.print(Text(text, style="bold red"))

    def show_event(self, event: Event) -> None:
        """One line: when it happened, what, and what it took."""
        if event.kind == "failed":
            self.fail(f"{event.at_s:6.1f} s  failed: {event.text}")
            return
        mark, style = MARKS[event.kind]
        line = Text(f"{event.at_s:6.1f} s  ", style="dim")
        line.append(f"{mark} ", style=style)
        line.append(event.text)
        if event.seconds is not None:
            line.append(f"  {event.seconds:.2f} s", style="dim")
        self._err.print(line)

    def show(self, state: StackState, folder: StackFolder) -> None:
        """A stack that is up, and how to call it."""
        if self._as_json:
            self._print_object(state.public())
            return
        gateway = state.gateway or {}
        trust = f"SSL_CERT_FILE={gateway['ca_file']} \\\n" if gateway.get("ca_file") else ""
        upstream = state.request.upstream
        called = f"; it calls {upstream}, not the stand-in" if upstream else ""
        self._out.print(
            Text(
                f"{state.stack} is up{called}. To call it with OpenAI's own SDK:\n\n"
                # Of this one command: an exported key would be taken for OpenAI's by whatever is run next.
                f"OPENAI_BASE_URL={gateway.get('base_url')} \\\n"
                f"OPENAI_API_KEY={state.api_key} \\\n{trust}"
                f"{python()} -c '{SAMPLE_CALL}'\n\n"
                f"Addresses, keys and tasks: {command('status', folder, '--json')}\n"
                f"Stop it:                   {command('down', folder)}"
            )
        )

    def show_status(self, state: StackState) -> None:
        """A stack in any state."""
        if self._as_json:
            self._print_object(state.public())
            if state.failure:
                self.fail(state.failure)
            return
        self._out.print(Text(f"{state.stack}: {state.state}"))
        if state.failure:
            self._out.print(Text(state.failure, style="red"))
        rows = self._facts(state)
        for task in state.tasks:
            where = f"127.0.0.1:{task['port']}, pid {task['pid']}"
            rows.append((f"task {task['id'][:8]}", f"{task['health']}, {where}"))
        for component in state.components:
            if not component["name"].startswith(("task-", "health-check-")):
                rows.append((component["name"], f"pid {component['pid']}"))
        for label, value in rows:
            self._out.print(Text(f"  {label:<15}{value}"))

    def show_log_line(self, name: str, line: str) -> None:
        self._out.print(Text(f"{name} | {line}"))

    def _facts(self, state: StackState) -> list[tuple[str, Any]]:
        facts = [
            ("gateway", (state.gateway or {}).get("base_url")),
            ("trust", (state.gateway or {}).get("ca_file")),
            ("local AWS", (state.aws or {}).get("endpoint_url")),
            ("upstream", (state.stand_in or {}).get("base_url") or state.request.upstream),
            ("scaling", (state.scaling or {}).get("activity")),
            ("last trouble", state.last_failure),
        ]
        return [(label, value) for label, value in facts if value]

    def _print_object(self, value: dict[str, Any]) -> None:
        self._out.file.write(json.dumps(value, indent=2) + "\n")
        self._out.file.flush()
