"""Which project of the organization each one of the file is, and what all of them are called in the end.

People are in projects by these names: the name that the file gives a project, or its id where two have one
name. So a project that is renamed is the same place before and after.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.admin.document.file import Organization, Project
from app.admin.document.sections import Row, Rows
from app.admin.document.state import ProjectState, State, labels

Pairs = list[tuple[Project, ProjectState | None]]


@dataclass(frozen=True)
class Matching:
    """state: what is there. pairs: the file's projects, each with the one that it is, None for a new one.
    more: those that the file does not have. going: whether they are archived."""

    state: State
    pairs: Pairs
    more: tuple[ProjectState, ...]
    going: bool

    @cached_property
    def called(self) -> dict[str, str]:
        """The name in the end, by the id, for which a new one has what the file calls it."""
        staying = () if self.going else self.more
        return labels(
            [
                *((before.id if before else _word(project), project.name) for project, before in self.pairs),
                *((one.id, one.name) for one in staying),
            ]
        )

    @property
    def there(self) -> dict[str, str]:
        """The same of those that are there already."""
        return {one.id: self.called[one.id] for one in self.state.projects if one.id in self.called}

    def people_there(self, rows: Rows) -> Rows:
        """Users as they are. A place in a project that is archived goes with it."""
        names = {
            word: self.called.get(project_id)
            for project_id, label in self.state.labels.items()
            for word in (project_id, label)
        }
        return {email: Row(_renamed(row.value, names), row.id) for email, row in rows.items()}

    def people_wanted(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Users as the file has them."""
        return {email: _renamed(value, self._words) for email, value in wanted.items()}

    def problems(self, file: Organization) -> Iterator[str]:
        """What is wrong with the projects in which the file has users."""
        for position, user in enumerate(file.users):
            path = f"users[{position}].projects"
            named: set[str] = set()
            for word in user.projects:
                if word not in self._words:
                    yield f"{path}.{word}: there is no such project. Add it to projects, or leave it out."
                elif self._words[word] in named:
                    yield f"{path}.{word}: the project is there twice, once by its id. Leave one of them."
                named.add(self._words.get(word, word))

    @cached_property
    def _words(self) -> dict[str, str]:
        """The name in the end, by whatever the file may call a project."""
        ids = {
            project.id: self.called[before.id if before else _word(project)]
            for project, before in self.pairs
            if project.id is not None
        }
        return {**self.called, **ids, **{label: label for label in self.called.values()}}


def matching(state: State, file: Organization, *, going: bool) -> tuple[Matching, list[str]]:
    """The file's projects with those that are there, and what is wrong with them. going: what the file does
    not have is archived, if it names projects at all."""
    by_id = {project.id: project for project in state.projects}
    pairs: Pairs = []
    problems = []
    for position, project in enumerate(file.projects):
        path = f"projects[{position}]"
        same = [one for one in state.projects if one.name == project.name]
        if project.id is not None:
            pairs.append((project, by_id.get(project.id)))
            if project.id not in by_id:
                problems.append(
                    f'{path}.id="{project.id}": there is no such active project here. Leave the id out to '
                    "find the project by its name."
                )
            continue
        pairs.append((project, same[0] if same else None))
        if len(same) > 1:
            ids = ", ".join(one.id for one in same)
            problems.append(
                f'{path}.name="{project.name}": {len(same)} projects have this name. Set {path}.id to one of '
                f"{ids}."
            )
    seen: set[str] = set()
    for position, (project, before) in enumerate(pairs):
        if before is not None and before.id in seen:
            problems.append(
                f'projects[{position}].name="{project.name}": the file has this project twice, once by its '
                "id. Leave one of them."
            )
        seen.update([before.id] if before else [])
    return _matching(state, file, pairs, going=going), problems


def compared(state: State, file: Organization) -> Matching:
    """The same of two files: by the ids that both have, then by name, those of one name in their order."""
    left = {project.id: project for project in state.projects}
    by_id = {project.id: left.pop(project.id) for project in file.projects if project.id in left}
    pairs: Pairs = []
    for project in file.projects:
        before = by_id.get(project.id or "")
        if before is None:
            before = next((one for one in left.values() if one.name == project.name), None)
            left.pop(before.id if before else "", None)
        pairs.append((project, before))
    return _matching(state, file, pairs, going=False)


def _matching(state: State, file: Organization, pairs: Pairs, *, going: bool) -> Matching:
    known = {before.id for _, before in pairs if before is not None}
    more = tuple(one for one in state.projects if one.id not in known)
    return Matching(state, pairs, more, going and "projects" in file.model_fields_set)


def _word(project: Project) -> str:
    return project.id or project.name


def _renamed(user: Mapping[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
    """names: of projects, None for one that goes; another word stays."""
    if "projects" not in user:
        return dict(user)
    roles = {names.get(word, word): role for word, role in user["projects"].items()}
    return {**user, "projects": {name: roles[name] for name in sorted(filter(None, roles))}}
