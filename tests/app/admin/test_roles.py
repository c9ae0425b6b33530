"""Roles by calls: what each kind of caller is answered by each call that is offered."""

from collections.abc import Callable

import openai
import pytest

from app.admin.call import Call
from app.admin.items import OWNER, READER
from app.admin.offered import CALLS
from tests.app.admin.examples import example
from tests.app.admin.people import People
from tests.app.conftest import Aws, Gateway


@pytest.fixture
def ours(aws: Aws, gateway: Gateway) -> People:
    return People(aws, gateway)


@pytest.fixture
def theirs(aws: Aws, gateway: Gateway) -> People:
    return People(aws, gateway)


@pytest.fixture
def project_key(ours: People) -> str:
    return ours.project_key()


@pytest.mark.parametrize("call", CALLS, ids=[call.sdk for call in CALLS])
def test_each_caller_is_answered_as_their_role_has_it(
    call: Call, ours: People, theirs: People, project_key: str
) -> None:
    request = example(call, ours)

    def answer(key: str | None) -> tuple[int, str | None]:
        got = request.sent(ours, key)
        return got.status_code, got.json()["error"]["code"] if got.is_error else None

    assert answer(None) == (401, None)
    assert answer("sk-admin-gw-" + "x" * 43) == (401, "invalid_api_key")
    assert answer("sk-something-else") == (401, "invalid_api_key")
    assert answer(project_key) == (403, "insufficient_permissions")
    log = len(ours.log())
    if "{" in call.path:
        assert answer(theirs.owner_key) == (404, "not_found")
    else:
        foreign = request.sent(ours, theirs.owner_key)
        # Of what an organization has one of, another may have none.
        assert foreign.status_code == 200 or foreign.json()["error"]["code"] == "not_found"
        assert ours.organization_id not in foreign.text
        assert "Secret plan" not in foreign.text
    if call.role == READER:
        assert answer(ours.reader_key) == (200, None)
    else:
        assert answer(ours.reader_key) == (403, "insufficient_permissions")
    assert len(ours.log()) == log, "who may not change something changed something"
    assert answer(ours.owner_key) == (200, None)
    assert (len(ours.log()) > log) is (call.role == OWNER), "owners change things, readers look"


def test_every_call_that_changes_something_is_an_owners() -> None:
    assert {call.role for call in CALLS if call.method != "GET"} == {OWNER}
    assert {call.role for call in CALLS if call.method == "GET"} == {READER}


def test_an_admin_key_makes_no_model_requests(people: People) -> None:
    for key in (people.owner_key, people.reader_key):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            people.gateway.sdk(key).models.list()
        assert refused.value.code == "insufficient_permissions"


def test_the_header_of_another_organization_is_refused(
    people: People, more_people: Callable[[], People]
) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        people.client().with_options(
            organization=more_people().organization_id
        ).admin.organization.projects.list()
    assert refused.value.code == "mismatched_organization"
    mine = people.client().with_options(organization=people.organization_id)
    assert list(mine.admin.organization.projects.list()) == []
