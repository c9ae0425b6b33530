"""The organization as it is: read through the API, or taken from a file to compare another one with."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from app.admin.document.asker import Asker, asker
from app.admin.document.door import Door
from app.admin.document.file import Organization, Project
from app.admin.document.people import USERS
from app.admin.document.sections import OF_ORGANIZATION, OF_PROJECT, Row, Rows, Scope, Section

ROOT = "/organization"
READERS = 8
"""Projects that are read at the same time."""


@dataclass(frozen=True)
class ProjectState:
    """sections: rows by the section's name; those that the API does not offer are not there."""

    id: str
    name: str
    sections: Mapping[str, Rows]


@dataclass(frozen=True)
class State:
    """sections: the organization's, users among them. projects: the active ones, in order of creation.
    offered: names of sections that the API has, of a project with the prefix `projects.` asker: who has read
    it."""

    sections: Mapping[str, Rows]
    projects: tuple[ProjectState, ...]
    offered: frozenset[str]
    asker: Asker = frozenset()

    @property
    def labels(self) -> dict[str, str]:
        """What the file calls each project, by its id: its name where no other has it."""
        return labels((project.id, project.name) for project in self.projects)

    def document(self) -> dict[str, Any]:
        """The file that says all of this."""
        called = self.labels
        return {
            **_written(OF_ORGANIZATION, self.sections),
            **_written((USERS,), self.sections),
            "projects": [
                {
                    "name": project.name,
                    **({} if called[project.id] == project.name else {"id": project.id}),
                    **_written(OF_PROJECT, project.sections),
                }
                for project in self.projects
            ],
        }


def labels(projects: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By the ids of projects, what the file calls them."""
    known = list(projects)
    times = Counter(name for _, name in known)
    return {project_id: name if times[name] == 1 else project_id for project_id, name in known}


def read(door: Door) -> State:
    """Raises RefusedError."""
    projects = [(one["id"], one["name"]) for one in door.all(f"{ROOT}/projects")]
    called = labels(projects)
    whole = Scope(door, ROOT, called)
    with ThreadPoolExecutor(READERS) as pool:
        ours = _offered(pool.map, door, ROOT, (*OF_ORGANIZATION, USERS))
        theirs = _offered(pool.map, door, f"{ROOT}/projects/-", OF_PROJECT)
        scopes = [
            (Scope(door, f"{ROOT}/projects/{project_id}", called), theirs) for project_id, _ in projects
        ]
        first, *rest = pool.map(_rows, [(whole, ours), *scopes])
    return State(
        sections=first,
        projects=tuple(
            ProjectState(project_id, name, sections)
            for (project_id, name), sections in zip(projects, rest, strict=True)
        ),
        offered=frozenset(
            [*(section.name for section in ours), *(f"projects.{section.name}" for section in theirs)]
        ),
        asker=asker(door),
    )


def of_file(file: Organization) -> State:
    """A file's content as if it were there."""
    sections = (*OF_ORGANIZATION, USERS)
    return State(
        sections=_rows_of(file, sections),
        projects=tuple(
            ProjectState(project.id or project.name, project.name, _rows_of(project, OF_PROJECT))
            for project in file.projects
        ),
        offered=frozenset(
            [*(section.name for section in sections), *(f"projects.{section.name}" for section in OF_PROJECT)]
        ),
    )


def written_sections(
    part: Organization | Project, sections: Iterable[Section]
) -> dict[Section, dict[str, Any]]:
    """The rows of those sections that a part of a file has."""
    content = part.model_dump(mode="json")
    given = part.model_dump(mode="json", exclude_unset=True)
    return {
        # Where rows are merged, what one leaves out stays as it is; elsewhere it is the default.
        section: section.wanted((given if section.merged else content)[section.name])
        for section in sections
        if section.name in given
    }


def _rows_of(part: Organization | Project, sections: Iterable[Section]) -> dict[str, Rows]:
    return {
        section.name: {key: Row(value) for key, value in rows.items()}
        for section, rows in written_sections(part, sections).items()
    }


def _written(sections: Iterable[Section], rows: Mapping[str, Rows]) -> dict[str, Any]:
    return {section.name: section.written(rows[section.name]) for section in sections if section.name in rows}


def _rows(of: tuple[Scope, tuple[Section, ...]]) -> dict[str, Rows]:
    scope, sections = of
    return {section.name: section.rows(scope) for section in sections}


Map = Callable[..., Iterable[bool]]


def _offered(each: Map, door: Door, path: str, sections: tuple[Section, ...]) -> tuple[Section, ...]:
    answers = each(door.offers, [path + section.path for section in sections])
    return tuple(section for section, there in zip(sections, answers, strict=True) if there)
