import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.aws.policy import (
    AccessRequest,
    UnknownConditionOperatorError,
    is_allowed,
    matches,
    statements_of,
)

READ = AccessRequest("s3:GetObject", "arn:aws:s3:::bucket/records/1", {"aws:SecureTransport": "true"})


def allow(**elements: object) -> dict[str, object]:
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **elements}


def test_nothing_is_allowed_that_no_statement_allows() -> None:
    assert not is_allowed([], READ)
    assert not is_allowed([allow(Action="s3:PutObject")], READ)
    assert not is_allowed([allow(Resource="arn:aws:s3:::bucket/other/*")], READ)


def test_what_a_statement_allows_is_allowed() -> None:
    assert is_allowed([allow(Resource=["arn:aws:s3:::bucket/records/*"])], READ)


def test_actions_are_compared_without_case_and_resources_with() -> None:
    assert is_allowed([allow(Action="S3:getobject")], READ)
    assert not is_allowed([allow(Resource="arn:aws:s3:::Bucket/*")], READ)


def test_a_deny_wins_whatever_allows() -> None:
    assert not is_allowed([allow(), {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}], READ)


def test_not_action_and_not_resource_are_everything_else() -> None:
    assert not is_allowed([{"Effect": "Allow", "NotAction": "s3:Get*", "Resource": "*"}], READ)
    statement = {"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::bucket/secret/*"}
    assert is_allowed([statement], READ)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"Bool": {"AWS:securetransport": True}}, True),
        ({"StringEquals": {"aws:missing": "x"}}, False),
        ({"StringEqualsIfExists": {"aws:missing": "x"}}, True),
        ({"StringNotEquals": {"aws:missing": "x"}}, True),
        ({"Null": {"aws:missing": "true"}}, True),
        ({"Null": {"aws:SecureTransport": "true"}}, False),
        ({"StringLike": {"aws:SecureTransport": ["no", "t?u*"]}}, True),
        ({"StringEquals": {"aws:SecureTransport": "true", "aws:missing": "x"}}, False),
    ],
)
def test_conditions_decide(condition: dict[str, object], holds: bool) -> None:
    assert is_allowed([allow(Condition=condition)], READ) is holds


def test_a_condition_that_is_not_understood_is_an_error_not_a_pass() -> None:
    with pytest.raises(UnknownConditionOperatorError, match="DateLessThan"):
        is_allowed([allow(Condition={"DateLessThan": {"aws:SecureTransport": "2030-01-01"}})], READ)


def test_a_document_may_hold_one_statement_or_several() -> None:
    assert statements_of({"Statement": allow()}) == statements_of({"Statement": [allow()]})


@given(st.text(max_size=20))
def test_a_text_matches_itself_when_it_has_no_wildcards(text: str) -> None:
    if not set(text) & set("*?"):
        assert matches(text, text)
        assert not matches(text, text + "x")
    assert matches("*", text)
