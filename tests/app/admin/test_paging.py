"""Lists while others insert: nothing twice, nothing missing, whichever page size."""

import threading
import time

import pytest

from app.admin import items
from app.admin.issue import write
from app.admin.writes import Create
from app.ids import first_id
from tests.app.admin.people import People
from tests.app.conftest import TABLE
from tests.servers import until

PROJECTS = 250


@pytest.fixture
def many(people: People) -> list[str]:
    """Projects of an organization, by id in the order of their making."""
    made = [items.new_project(people.organization_id, f"Number {number}") for number in range(PROJECTS)]
    for start in range(0, PROJECTS, 50):
        write(people.aws.client("dynamodb"), TABLE, [Create(one) for one in made[start : start + 50]])
    # Made in less time than their ids say, they would have others' ids among them until that has come.
    until(lambda: first_id("proj_", time.time_ns() // 1_000_000) > made[-1]["id"])
    return [one["id"] for one in made]


def test_all_250_are_listed_once_while_others_are_inserted(people: People, many: list[str]) -> None:
    stop = threading.Event()
    inserted: list[str] = []

    def insert() -> None:
        api = people.api
        while not stop.is_set() and len(inserted) < 200:
            inserted.append(api.projects.create(name="Meanwhile").id)

    threads = [threading.Thread(target=insert) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for limit in (100, 7):
            listed = [one.id for one in people.api.projects.list(limit=limit)]
            assert len(set(listed)) == len(listed), "one is there twice"
            assert listed[:PROJECTS] == many
            assert set(listed[PROJECTS:]) <= {*inserted, *listed[-2:]}
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert inserted, "nothing was inserted meanwhile"
    assert [one.id for one in people.api.projects.list(limit=100)] == sorted([*many, *inserted])


def test_pages_say_where_they_begin_and_end_and_whether_more_follow(people: People, many: list[str]) -> None:
    for start, more in ((0, True), (100, True), (200, False)):
        after = {"after": many[start - 1]} if start else {}
        page = people.ask("GET", "/organization/projects", limit=100, **after).json()
        end = min(start + 100, PROJECTS)
        assert (page["first_id"], page["last_id"], page["has_more"]) == (many[start], many[end - 1], more)
        assert [one["id"] for one in page["data"]] == many[start:end]
    exact = people.ask("GET", "/organization/projects", limit=50, after=many[199]).json()
    assert (len(exact["data"]), exact["has_more"]) == (50, False)
    beyond = people.ask("GET", "/organization/projects", after=many[-1]).json()
    assert (beyond["data"], beyond["first_id"], beyond["last_id"]) == ([], None, None)
    assert beyond["has_more"] is False


def test_a_filter_fills_its_pages_from_further_on(people: People, many: list[str]) -> None:
    for project_id in many[:20]:
        people.api.projects.archive(project_id)
    first = people.api.projects.list(limit=10)
    assert [one.id for one in first.data] == many[20:30]
    assert first.has_more
    # The cursor is of a project that has left the list meanwhile.
    people.api.projects.archive(many[29])
    assert [one.id for one in people.api.projects.list(limit=10, after=many[29]).data] == many[30:40]
    assert len(list(people.api.projects.list(limit=100, include_archived=True))) == PROJECTS
