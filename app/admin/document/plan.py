"""What has to change for the organization to be as a file says, and how a person reads it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.admin.document.file import FileError, Organization, Project
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


@dataclass(frozen=True)
class Target:
    """What changes: the organization, or a project. name: of a project, as it shall be; empty for the
    organization. before: the project as it is, None for one to be made. steps: by section."""

    name: str
    before: ProjectState | None
    steps: tuple[tuple[Section, tuple[Step, ...]], ...]
    archive: bool = False

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
    """targets: those that change, in the order in which they do; users last, who may be in new projects.
    left: what is there and the file does not have, in words."""

    targets: tuple[Target, ...]
    left: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """For people: + what is made, ~ what changes with before → after, - what goes."""
        for target in self.targets:
            yield f"{MARKS[target.kind]} {target.title}"
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


def plan(state: State, file: Organization, *, others: Others = STAY) -> Plan:
    """others: what becomes of projects, service accounts and users that the file does not have. They STAY, or
    they GO, projects by being archived; DIFFER compares, and whatever only one side has is a difference.

    Raises FileError for what the file names and the organization or its gateway does not have.
    """
    matched, problems = _matched(state, file)
    problems += _unknown_projects(state, file)
    targets, left = [], []
    wanted = written_sections(file, OF_ORGANIZATION) | written_sections(file, (USERS,))
    problems += _not_offered(state, wanted, "", "")
    steps, stays = _steps(state.sections, wanted, others)
    people = tuple(one for one in steps if one[0] is USERS)
    targets.append(Target("", None, tuple(one for one in steps if one[0] is not USERS)))
    left += stays
    for position, (project, before) in enumerate(matched):
        sections = written_sections(project, OF_PROJECT)
        problems += _not_offered(state, sections, "projects.", f"projects[{position}].")
        steps, stays = _steps(before.sections if before else {}, sections, others)
        targets.append(Target(project.name, before, steps))
        left += [f"{one} of project {project.name}" for one in stays]
    if problems:
        raise FileError(problems)
    targets.append(Target("", None, people))
    if "projects" in file.model_fields_set:
        known = {before.id for _, before in matched if before}
        more = [project for project in state.projects if project.id not in known]
        if others == STAY:
            left += [f"project {state.labels[project.id]}" for project in more]
        else:
            targets += [Target(project.name, project, (), archive=True) for project in more]
    return Plan(tuple(filter(_changes, targets)), tuple(left))


def whole(file: Organization) -> Organization:
    """The file with nothing left out, for a comparison: what it does not say is as it is by default."""
    return Organization.model_validate_json(file.model_dump_json())


def _changes(target: Target) -> bool:
    return target.kind != "update" or target.renamed or bool(target.steps)


def _matched(state: State, file: Organization) -> tuple[list[tuple[Project, ProjectState | None]], list[str]]:
    """The projects of the file, each with the one that it is; what is wrong with them."""
    by_id = {project.id: project for project in state.projects}
    matched: list[tuple[Project, ProjectState | None]] = []
    problems = []
    for position, project in enumerate(file.projects):
        path = f"projects[{position}]"
        same = [one for one in state.projects if one.name == project.name]
        if project.id is not None:
            matched.append((project, by_id.get(project.id)))
            if project.id not in by_id:
                problems.append(
                    f'{path}.id="{project.id}": there is no such active project here. Leave the id out to '
                    "find the project by its name."
                )
            continue
        matched.append((project, same[0] if same else None))
        if len(same) > 1:
            ids = ", ".join(one.id for one in same)
            problems.append(
                f'{path}.name="{project.name}": {len(same)} projects have this name. Set {path}.id to one of '
                f"{ids}."
            )
    seen: set[str] = set()
    for position, (project, before) in enumerate(matched):
        if before is not None and before.id in seen:
            problems.append(
                f'projects[{position}].name="{project.name}": the file has this project twice, once by its '
                "id. Leave one of them."
            )
        seen.update([before.id] if before else [])
    return matched, problems


def _unknown_projects(state: State, file: Organization) -> Iterator[str]:
    """What users are in that neither the file nor the organization has."""
    known = {*state.labels.values(), *(project.id or project.name for project in file.projects)}
    known |= {project.name for project in file.projects}
    for position, user in enumerate(file.users):
        for label in user.projects:
            if label not in known:
                yield (
                    f"users[{position}].projects.{label}: there is no project of this name. Add it to "
                    "projects, or leave it out."
                )


def _not_offered(state: State, wanted: Mapping[Section, Any], prefix: str, path: str) -> Iterator[str]:
    for section in wanted:
        if prefix + section.name not in state.offered:
            yield f"{path}{section.name}: this gateway does not offer it. Leave it out, or deploy another."


def _steps(
    rows: Mapping[str, Rows], wanted: Mapping[Section, dict[str, Any]], others: Others
) -> tuple[tuple[tuple[Section, tuple[Step, ...]], ...], list[str]]:
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
