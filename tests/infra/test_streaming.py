"""One setting decides every timeout on a request's way."""

from hypothesis import given
from hypothesis import strategies as st

from infra.streaming import LONGEST_STOP_TIMEOUT_S, LONGEST_STREAM_S, streaming_budget

any_stream = st.integers(LONGEST_STREAM_S.start, LONGEST_STREAM_S.stop - 1)


@given(any_stream)
def test_each_part_outlasts_the_one_before_it(longest_stream_s: int) -> None:
    budget = streaming_budget(longest_stream_s)
    assert longest_stream_s < budget.idle_timeout_s < budget.keep_alive_s
    assert budget.ping_interval_s < budget.idle_timeout_s
    assert budget.deregistration_delay_s >= longest_stream_s


@given(any_stream)
def test_what_aws_limits_is_within_its_limits(longest_stream_s: int) -> None:
    budget = streaming_budget(longest_stream_s)
    assert budget.idle_timeout_s <= 4000
    assert budget.deregistration_delay_s <= 3600
    assert 30 <= budget.stop_timeout_s <= LONGEST_STOP_TIMEOUT_S
