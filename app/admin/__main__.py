"""The organization as one file: `python -m app.admin export|apply|diff`.

export prints what is there; apply shows what a file would change, asks, and changes it; diff compares two
files. The API is at OPENAI_BASE_URL, with an owner's key in OPENAI_ADMIN_KEY, or --stack finds both.
"""

import argparse
import os
import sys
from pathlib import Path

from app.admin.document.carry_out import ChangedMeanwhileError, carry_out, left_over
from app.admin.document.door import Door, RefusedError
from app.admin.document.file import FileError, dump, load
from app.admin.document.plan import DIFFER, GO, STAY, plan, whole
from app.admin.document.state import of_file, read

DONE, FAILED, REFUSED = 0, 1, 2
DIFFERENT = 1


class NoDoorError(Exception):
    """Nothing says where the API is or who asks."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 failed (diff: the files differ), 2 the file or command is wrong."""
    given = _parser().parse_args(arguments)
    try:
        match given.command:
            case "export":
                return _export(given)
            case "apply":
                return _apply(given)
            case _:
                return _diff(given)
    except FileError as error:
        for problem in error.problems:
            _complain(problem)
        return REFUSED
    except NoDoorError as error:
        _complain(str(error))
        return REFUSED
    except (RefusedError, ChangedMeanwhileError) as error:
        _complain(str(error))
        return FAILED


def _export(given: argparse.Namespace) -> int:
    output: Path | None = given.output
    document = read(_door(given.stack)).document()
    text = dump(document, as_json=output is not None and output.suffix == ".json")
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text)
        _complain(f"written to {output}")
    return DONE


def _apply(given: argparse.Namespace) -> int:
    file = load(given.file)
    door = _door(given.stack)
    others = GO if given.prune else STAY
    planned = plan(read(door), file, others=others)
    for line in planned.lines():
        _say(line)
    if not planned.targets:
        _say("no changes")
        return DONE
    _say(planned.summary())
    if given.dry_run:
        return DONE
    if not given.yes and not _agreed():
        _say("nothing was changed")
        return FAILED
    carry_out(door, planned, _say)
    rest, strange = left_over(door, file, others, planned)
    if strange:
        titles = ", ".join(dict.fromkeys(target.title for target in strange))
        _complain(
            f"somebody else has changed this at the same time: {titles}. Run the command again to see what "
            "is not as the file says."
        )
        return FAILED
    carry_out(door, rest, _say, last=True)
    return DONE


def _diff(given: argparse.Namespace) -> int:
    first, second = load(given.first), load(given.second)
    differences = plan(of_file(whole(first)), whole(second), others=DIFFER)
    for line in differences.lines():
        _say(line)
    return DIFFERENT if differences.targets else DONE


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise NoDoorError(
            "there is nobody to ask; run it with --yes, or with --dry-run to see the plan alone"
        )
    return input("Change this? [y/N] ").strip().lower() in ("y", "yes")


def _door(stack: str | None) -> Door:
    base_url, key = os.environ.get("OPENAI_BASE_URL", ""), os.environ.get("OPENAI_ADMIN_KEY", "")
    if stack is not None:
        base_url, key = _of_stack(stack, key)
    missing = [
        name for name, value in (("OPENAI_BASE_URL", base_url), ("OPENAI_ADMIN_KEY", key)) if not value
    ]
    if missing:
        raise NoDoorError(
            f"not set: {' and '.join(missing)}. Set what is missing (a stack on this machine tells both by "
            "python -m local status --json), or name a deployed stack with --stack"
        )
    return Door(base_url, key)


def _of_stack(stack: str, key: str) -> tuple[str, str]:
    """The address of a deployed stack, and its first owner's key unless there is one."""
    # Only here: the gateway's own modules know nothing of the stack they are part of.
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    from infra.owner_key import owner_key
    from infra.seed import SeedError, stack_outputs

    try:
        outputs = stack_outputs(stack)
        key = key or owner_key(boto3.Session(region_name=outputs["region"]), outputs, "show")
    except (SeedError, BotoCoreError, ClientError) as error:
        raise NoDoorError(f"{error}. An owner's own key does as well, in OPENAI_ADMIN_KEY.") from None
    return outputs["base_url"], key


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.admin", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    export = commands.add_parser("export", help="print the organization as a file, without secrets")
    export.add_argument(
        "--output", type=Path, metavar="FILE", help="write it there; JSON if it ends in .json"
    )
    apply = commands.add_parser("apply", help="show what a file would change, ask, and change it")
    apply.add_argument("file", type=Path)
    apply.add_argument("--yes", action="store_true", help="do not ask")
    apply.add_argument("--dry-run", action="store_true", help="show the plan alone")
    apply.add_argument(
        "--prune", action="store_true",
        help="archive projects and delete service accounts, users and invites that the file does not have",
    )  # fmt: skip
    for command in (export, apply):
        command.add_argument("--stack", help="a deployed Pulumi stack, in place of the variables")
    diff = commands.add_parser("diff", help="show what differs between two files")
    diff.add_argument("first", type=Path)
    diff.add_argument("second", type=Path)
    return parser


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
