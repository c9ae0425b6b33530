"""The command line: `python -m local up|status|logs|down [staging|prod]`."""

import argparse
import contextlib
import dataclasses
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.config import ConfigError, Problem, load_file, stacks
from local.commands.down import down
from local.commands.logs import logs
from local.commands.status import status
from local.commands.up import REFUSED, UPSTREAM_KEY, up, upstream_of
from local.face import Face
from local.hint import FOLDER
from local.state import ENGINES, MOCKS, StackFolder, UpRequest


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    given = _parser().parse_args(arguments)
    folder = StackFolder(given.folder.resolve(), given.stack)
    face = Face(getattr(given, "json", False))
    match given.command:
        case "up":
            return _up(folder, face, given)
        case "status":
            return status(folder, face)
        case "logs":
            with contextlib.suppress(KeyboardInterrupt):
                return logs(folder, face, given.only, given.lines, given.follow)
            return 0
        case _:
            return down(folder, face)


def _up(folder: StackFolder, face: Face, given: argparse.Namespace) -> int:
    overrides: dict[str, str] = {}
    try:
        upstream, config = upstream_of(given.upstream, dict(given.config))
        overrides = {**config, **({UPSTREAM_KEY: upstream} if upstream else {})}
        # A config that is refused is refused here, before anything starts.
        load_file(folder.stack, overrides)
    except ConfigError as error:
        problems = [_mended_here(problem, overrides) for problem in error.problems]
        face.fail(str(ConfigError(error.stack, problems)))
        return REFUSED
    except ValueError as error:
        face.fail(str(error))
        return REFUSED
    return up(folder, UpRequest(config, upstream, given.engine), face)


def _mended_here(problem: Problem, overrides: Mapping[str, str]) -> Problem:
    """A problem of an override is mended on this command line, not in the stack's file."""
    if problem.key not in overrides:
        return problem
    verb, key, *rest = shlex.split(problem.command)[2:]
    if verb != "set":
        mended = f"leave out --config {key}"
    elif key == UPSTREAM_KEY:
        mended = f"--upstream {shlex.quote(rest[0])}"
    else:
        mended = f"--config {shlex.quote(f'{key}={rest[0]}')}"
    return dataclasses.replace(problem, command=mended)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="A stack on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    up_parser = _command(commands, "up", "start a stack and wait until it answers")
    up_parser.add_argument(
        "--config", action="append", default=[], type=_assignment, metavar="KEY=VALUE",
        help="override a config value, as in `pulumi up`; may be repeated",
    )  # fmt: skip
    up_parser.add_argument(
        "--upstream", metavar="URL",
        help="an OpenAI-compatible server to call instead of the stand-in, with OPENAI_API_KEY",
    )  # fmt: skip
    up_parser.add_argument(
        "--engine", choices=ENGINES, default=MOCKS,
        help="what deploys: Pulumi's mock seam (default), or the pulumi command on the PATH",
    )  # fmt: skip
    status_parser = _command(commands, "status", "show what runs and how it does")
    for command in (up_parser, status_parser):
        command.add_argument("--json", action="store_true", help="print one JSON object")
    logs_parser = _command(commands, "logs", "print what tasks and components wrote")
    logs_parser.add_argument("--follow", "-f", action="store_true", help="go on printing")
    logs_parser.add_argument("--lines", "-n", type=int, default=100, help="of each log, at most")
    logs_parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="one log; may be repeated"
    )
    _command(commands, "down", "stop a stack")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, description: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=description, description=description)
    parser.add_argument(
        "stack", nargs="?", default="staging", choices=stacks(), help="staging (default) or another stack"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where stacks keep their state and logs")
    return parser


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form KEY=VALUE")
    return key, value


if __name__ == "__main__":
    sys.exit(main())
