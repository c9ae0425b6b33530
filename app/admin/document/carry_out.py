"""A plan is carried out: step by step, each on what it was planned on, and looked at once more at the end."""

import time
from collections.abc import Callable

from app.admin.document.door import Door, RefusedError
from app.admin.document.file import Organization
from app.admin.document.plan import Others, Plan, Target, place, plan, shown
from app.admin.document.sections import Scope, Section, Step
from app.admin.document.state import ROOT, read

SETTLED_WITHIN_S = 1.0
"""Lists from an index of the table follow a change within it."""

PAUSE_S = 0.1

Say = Callable[[str], None]


class ChangedMeanwhileError(Exception):
    """Somebody else has changed what the plan was made on; nothing of theirs was overwritten."""


def carry_out(door: Door, planned: Plan, say: Say, *, last: bool = False) -> None:
    """All targets but those that come last, or these. Says each that is done, and what a person has to know.

    Raises RefusedError and ChangedMeanwhileError; what was said until then is done, and stays.
    """
    projects = dict(planned.projects)
    for target in planned.targets:
        if bool(target.last) is not last:
            continue
        try:
            for told in _change(door, target, projects):
                say(told)
        except RefusedError as error:
            raise RefusedError(f"{target.title}: {error}") from None
        say(f"{target.title}: done")


def left_over(door: Door, file: Organization, others: Others, planned: Plan) -> tuple[Plan, list[Target]]:
    """What is still, or again, not as the file says; of it, what is not planned to come last.

    Raises RefusedError.
    """
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while True:
        left = plan(read(door), file, others=others)
        strange = [target for target in left.targets if target not in planned.last]
        if not strange or time.monotonic() > deadline:
            return left, strange
        time.sleep(PAUSE_S)


def _change(door: Door, target: Target, called: dict[str, str]) -> list[str]:
    """called: what people call projects, by their ids; one that is made is added."""
    if not target.name:
        return _sections(Scope(door, ROOT, called), target)
    projects = f"{ROOT}/projects"
    if target.before is None:
        made = door.post(projects, {"name": target.name})
        called[made["id"]] = target.name
        return _sections(Scope(door, f"{projects}/{made['id']}"), target)
    path = f"{projects}/{target.before.id}"
    if target.archive or target.renamed:
        now = door.get(path)
        if (now["name"], now["status"]) != (target.before.name, "active"):
            raise _changed_meanwhile(target, "name or status", now["name"])
    if target.archive:
        door.post(f"{path}/archive")
        return []
    if target.renamed:
        door.post(path, {"name": target.name})
    return _sections(Scope(door, path), target)


def _sections(scope: Scope, target: Target) -> list[str]:
    told = []
    for section, steps in target.steps:
        try:
            told += section.change(scope, _on_what_is_there(scope, section, steps, target))
        except RefusedError as error:
            raise RefusedError(f"{section.name}: {error}") from None
    return told


def _on_what_is_there(scope: Scope, section: Section, steps: tuple[Step, ...], target: Target) -> list[Step]:
    """The steps with the rows as they are now, which have to be those of the plan."""
    rows = section.rows(scope)
    is_new = bool(target.name) and target.before is None
    current = []
    for step in steps:
        now = rows.get(step.key)
        planned = step.before.value if step.before else None
        if not is_new and (now.value if now else None) != planned:
            raise _changed_meanwhile(target, place(section.name, step.key), now.value if now else None)
        if now is not None and now.value == step.after:
            continue
        after = {**now.value, **step.after} if now and step.after and section.merged else step.after
        current.append(Step(step.key, now, after))
    return current


def _changed_meanwhile(target: Target, what: str, now: object) -> ChangedMeanwhileError:
    return ChangedMeanwhileError(
        f"{target.title}: {what} was changed by somebody else since the plan was made, and is now "
        f"{shown(now)}. Their change stays. Run the command again to see a new plan."
    )
