"""What has to change for the organization to be as a file says, and how a person reads it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.admin.document.asker import ENDS, Asker, last
from app.admin.document.file import FileError, Organization
from app.admin.document.matching import Matching, compared, matching
from app.admin.document.people import USERS
from app.admin.document.sections import OF_ORGANIZATION, OF_PROJECT, ONE, Rows, Section, Step
from app.admin.document.state import ProjectState, State, written_sections

ORGANIZATION = "organization"
MARKS = {"create": "+", "update": "~", "remove": "-"}
Kind = Literal["create", "update", "remove"]
Others = Literal["stay", "go", "differ"]
STAY: Others = "stay"
GO: Others = "go"
DIFFER: Others = "differ"

Wanted = Mapping[Section, dict[str, Any]]
Steps = tuple[tuple[Section, tuple[Step, ...]], ...]


@dataclass(frozen=True)
class Target:
    """What changes: the organization, or a project. name: of a project, as it shall be; empty for the
    organization. before: the project as it is, None for one to be made. last: why it comes after the rest."""

    name: str
    before: ProjectState | None
    steps: Steps
    archive: bool = False
    last: str = ""

    @property
    def kind(self) -> Kind:
        if self.name and self.before is None:
            return "create"
        return "remove" if self.archive else "update"

    @property
    def renamed(self) -> bool:
        return self.before is not None and self.before.name != self.name

    @property
    def title(self) -> str:
        return f"project {self.name}" if self.name else ORGANIZATION


@dataclass(frozen=True)
class Plan:
    """targets: those that change, in the order in which they do: users late, who may be in new projects, and
    last of all what takes from whoever asks the right to make a change. left: what is there and the file does
    not have, in words. projects: those that are there and stay, by id what people call each in the end."""

    targets: tuple[Target, ...]
    left: tuple[str, ...] = ()
    projects: Mapping[str, str] = field(default_factory=dict)

    @property
    def last(self) -> tuple[Target, ...]:
        return tuple(target for target in self.targets if target.last)

    def lines(self) -> Iterator[str]:
        """For people: + what is made, ~ what changes with before → after, - what goes."""
        for target in self.targets:
            yield f"{MARKS[target.kind]} {target.title}" + (f", last: {target.last}" if target.last else "")
            if target.renamed and target.before:
                yield f"    ~ name: {target.before.name} → {target.name}"
            for section, steps in target.steps:
                for step in steps:
                    yield from (f"    {line}" for line in _lines(section.name, step))
        yield from (f"  {line} is not in the file and stays (--prune removes it)" for line in self.left)

    def summary(self) -> str:
        counts = dict.fromkeys(MARKS, 0)
        for target in self.targets:
            counts[target.kind] += target.kind != "update"
            counts["update"] += target.renamed
            for _, steps in target.steps:
                for step in steps:
                    counts[_kind(step)] += 1
        return f"{counts['create']} to create, {counts['update']} to update, {counts['remove']} to remove"


@dataclass(frozen=True)
class _Part:
    """Of a file, beside what is there of it. path: where it stands in the file, empty for its top."""

    path: str
    name: str
    before: ProjectState | None
    rows: Mapping[str, Rows]
    wanted: Wanted


def plan(state: State, file: Organization, *, others: Others = STAY) -> Plan:
    """others: what becomes of projects, service accounts and users that the file does not have. They STAY, or
    they GO, projects by being archived; DIFFER compares, and whatever only one side has is a difference.

    Raises FileError for what the file names and the organization or its gateway does not have or do.
    """
    problems: list[str] = []
    if others == DIFFER:
        found = compared(state, file)
    else:
        found, problems = matching(state, file, going=others == GO)
    problems += found.problems(file)
    targets, left = [], []
    for part in _parts(state, file, found):
        problems += _not_offered(state, part)
        steps, stays = _steps(part.rows, part.wanted, others)
        if others != DIFFER:
            problems += _impossible(part, steps)
        targets.append(Target(part.name, part.before, steps))
        left += [f"{one} of project {part.name}" if part.name else one for one in stays]
    organization, people = _of_organization(targets[0].steps, state.asker)
    problems += _too_many_last(people)
    if problems:
        raise FileError(problems)
    archived = []
    if "projects" in file.model_fields_set and others != STAY:
        archived = [Target(project.name, project, (), archive=True) for project in found.more]
    elif "projects" in file.model_fields_set:
        left += [f"project {state.labels[project.id]}" for project in found.more]
    ordered = (organization, *targets[1:], *archived, *people)
    return Plan(tuple(filter(_changes, ordered)), tuple(left), found.there)


def whole(file: Organization) -> Organization:
    """The file with nothing left out, for a comparison: what it does not say is as it is by default."""
    return Organization.model_validate_json(file.model_dump_json())


def _changes(target: Target) -> bool:
    return target.kind != "update" or target.renamed or bool(target.steps)


def _parts(state: State, file: Organization, found: Matching) -> Iterator[_Part]:
    """The organization, then the file's projects."""
    people = found.people_there(state.sections.get(USERS.name, {}))
    wanted = written_sections(file, (*OF_ORGANIZATION, USERS))
    if USERS in wanted:
        wanted[USERS] = found.people_wanted(wanted[USERS])
    yield _Part("", "", None, {**state.sections, USERS.name: people}, wanted)
    for position, (project, before) in enumerate(found.pairs):
        rows = before.sections if before else {}
        path = f"projects[{position}]."
        yield _Part(path, project.name, before, rows, written_sections(project, OF_PROJECT))


def _of_organization(steps: Steps, who: Asker) -> tuple[Target, list[Target]]:
    """Its sections, and its people: last who takes from whoever asks the right to change the others."""
    people: dict[str, list[Step]] = {}
    for section, found in steps:
        for step in found if section is USERS else ():
            people.setdefault(last(step, who), []).append(step)
    return Target("", None, tuple(one for one in steps if one[0] is not USERS)), [
        Target("", None, ((USERS, tuple(found)),), last=why) for why, found in sorted(people.items())
    ]


def _not_offered(state: State, part: _Part) -> Iterator[str]:
    prefix = "projects." if part.name else ""
    for section in part.wanted:
        if prefix + section.name not in state.offered:
            path = part.path + section.name
            yield f"{path}: this gateway does not offer it. Leave it out, or deploy another."


def _impossible(part: _Part, steps: Steps) -> Iterator[str]:
    for section, found in steps:
        for step in found:
            if problem := section.impossible(step):
                yield f"{part.path}{place(section.name, step.key)}.{problem}"


def _too_many_last(people: list[Target]) -> Iterator[str]:
    """Of what only the first can be made."""
    for target in people:
        for _, (first, *others) in target.steps if target.last == ENDS else ():
            for step in others:
                yield (
                    f'{place(USERS.name, step.key)}.role="owner": {ENDS}, so it makes one owner, and '
                    f"{first.key} is one. Leave the others out, and apply the file again with the new "
                    "owner's key."
                )


def _steps(rows: Mapping[str, Rows], wanted: Wanted, others: Others) -> tuple[Steps, list[str]]:
    """The steps by section, and what stays although the file does not have it."""
    found, left = [], []
    for section, content in wanted.items():
        current = rows.get(section.name, {})
        steps = list(_steps_of(current, content, merged=section.merged and others != DIFFER))
        more = [Step(key, row, None) for key, row in current.items() if key not in content]
        if section.kept and others == STAY:
            left += [f"{section.name}[{step.key}]" for step in more]
        else:
            steps += more
        if steps:
            found.append((section, tuple(steps)))
    return tuple(found), left


def _steps_of(rows: Rows, wanted: Mapping[str, Any], *, merged: bool) -> Iterator[Step]:
    """For rows to be as they are wanted, whatever else there is."""
    for key, value in wanted.items():
        before = rows.get(key)
        if before is not None and merged:
            value = {**before.value, **value}
        if before is None or before.value != value:
            yield Step(key, before, value)


def _kind(step: Step) -> Kind:
    if step.before is None:
        return "create"
    return "remove" if step.after is None else "update"


def _lines(name: str, step: Step) -> Iterator[str]:
    """One line a change; of a row with fields that is updated, one a field."""
    path = place(name, step.key)
    mark, before = MARKS[_kind(step)], step.before.value if step.before else None
    if isinstance(before, dict) and isinstance(step.after, dict):
        for field in {**before, **step.after}:
            old, new = before.get(field), step.after.get(field)
            if old != new:
                yield f"{mark} {path}.{field}: {shown(old)} → {shown(new)}"
    elif step.after is None:
        yield f"{mark} {path}: {shown(before)}"
    elif before is None:
        yield f"{mark} {path}: {shown(step.after)}"
    else:
        yield f"{mark} {path}: {shown(before)} → {shown(step.after)}"


def place(name: str, key: str) -> str:
    """A row of a section, in words."""
    return name if key == ONE else f"{name}[{key}]"


def shown(value: Any) -> str:
    """A value on one line."""
    match value:
        case None:
            return "none"
        case str():
            return value
        case dict():
            return ", ".join(f"{name} {shown(one)}" for name, one in value.items() if one is not None) or "{}"
        case list():
            return "[" + ", ".join(map(shown, value)) + "]"
        case _:
            return json.dumps(value)
