"""A stack's graph is recorded without an account, and a refused config says what mends it."""

import pytest

from offline.graph import ProgramError, record
from tests.infra.graph import stack_graph


def test_a_refused_config_is_told_as_the_program_tells_it() -> None:
    with pytest.raises(ProgramError, match=r"^1 problem in the config of stack staging:") as told:
        record("staging", {"min_tasks": "0"})
    assert "mend it: pulumi config set min_tasks" in str(told.value)


def test_overrides_reach_the_program() -> None:
    assert stack_graph("staging", min_tasks="2").one("Service").get("desiredCount") == 2


def test_asking_for_one_of_many_names_them() -> None:
    with pytest.raises(LookupError, match=r"4 of Secret .*vault-openai"):
        stack_graph("staging").one("Secret")
