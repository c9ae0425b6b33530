"""The table of resources in the documentation is the one that the program makes."""

import pytest

from offline.resources import BEGIN, DOCUMENT, END, NoPlaceError, table, written
from tests.infra.graph import Registered, StackGraph, stack_graph


def graph(*resources: Registered) -> StackGraph:
    return StackGraph(resources, (), {}, ())


NETWORK = Registered("gateway:infra:Network", "network", {}, urn="n", custom=False)


def test_the_documentation_lists_what_both_stacks_are_made_of() -> None:
    document = DOCUMENT.read_text()
    wanted = written(document, table({stack: stack_graph(stack) for stack in ("staging", "prod")}))
    assert document == wanted, "docs/architecture.md is out of date; run: make docs"


def test_a_part_lists_its_resources_by_type_and_number() -> None:
    subnets = [Registered("aws:ec2/subnet:Subnet", name, {}, parent="n") for name in ("a", "b")]
    vpc = Registered("aws:ec2/vpc:Vpc", "v", {}, parent="n")
    two = graph(NETWORK, vpc, *subnets)
    lines = table({"one": two, "other": two}).splitlines()
    assert lines[0] == "| Part | one: 3 | other: 3 |"
    assert lines[2] == "| Network | 2 Subnet, Vpc | the same |"


def test_a_stack_without_a_part_shows_that() -> None:
    vpc = Registered("aws:ec2/vpc:Vpc", "v", {}, parent="n")
    [line] = table({"one": graph(), "other": graph(NETWORK, vpc)}).splitlines()[2:]
    assert line == "| Network | - | Vpc |"


def test_only_what_stands_between_the_markers_is_written() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert written(document, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert written(written(document, "new"), "new") == written(document, "new")


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(NoPlaceError, match="has no place for the table"):
        written("text", "new")
