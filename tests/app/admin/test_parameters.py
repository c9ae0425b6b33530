"""Queries and bodies as models: what is accepted, and how what is not is named."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.admin.audit_logs import ListAuditLogs
from app.admin.parameters import PageParameters, parse_body, parse_nothing, parse_query
from app.admin.projects import CreateProject, ListProjects
from app.errors import ApiError


def test_lists_objects_and_single_values_of_a_query() -> None:
    query = b"event_types[]=a&event_types%5B%5D=b&effective_at[gte]=5&limit=7&after=x%20y"
    parsed = parse_query(ListAuditLogs, query)
    assert parsed.event_types == ["a", "b"]
    assert (parsed.effective_at.gte, parsed.effective_at.lt) == (5, None)
    assert (parsed.limit, parsed.after) == (7, "x y")
    assert parse_query(ListProjects, b"include_archived=true").include_archived is True


@pytest.mark.parametrize(
    ("query", "param"),
    [
        (b"limit=1&limit=2", "limit"),
        (b"event_types=a", "event_types"),
        (b"event_types=a&event_types[]=b", "event_types"),
        (b"effective_at[gte]=x", "effective_at.gte"),
        (b"effective_at[gte]=-1", "effective_at.gte"),
        (b"effective_at=5", "effective_at"),
        (b"after=", "after"),
        (b"nothing=1", "nothing"),
    ],
)
def test_a_bad_parameter_is_named(query: bytes, param: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_query(ListAuditLogs, query)
    assert (refused.value.status, refused.value.param) == (400, param)


def test_a_body_is_not_coerced_and_null_is_as_good_as_nothing() -> None:
    assert parse_body(CreateProject, b'{"name": "n", "residency": null}').name == "n"
    with pytest.raises(ApiError) as refused:
        parse_body(CreateProject, b'{"name": 7}')
    assert refused.value.param == "name"
    with pytest.raises(ApiError) as empty:
        parse_body(CreateProject, b"")
    assert empty.value.code == "invalid_json"


def test_what_a_call_does_not_take_is_refused() -> None:
    parse_nothing(b"", b"")
    parse_nothing(b"", b"{}")
    for query, body in ((b"a=1", b""), (b"", b'{"a": 1}')):
        with pytest.raises(ApiError) as refused:
            parse_nothing(query, body)
        assert (refused.value.param, refused.value.code) == ("a", "unknown_parameter")


@given(st.binary(max_size=60))
def test_no_query_is_a_failure_of_the_gateway(query: bytes) -> None:
    for model in (PageParameters, ListAuditLogs):
        with contextlib.suppress(ApiError):
            parse_query(model, query)
