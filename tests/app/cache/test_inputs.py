"""A request for embeddings that is answered from hits and misses."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.cache.inputs import Inputs
from app.endpoints import EMBEDDINGS
from local.stand_in.behaviour import NORMAL
from local.stand_in.embeddings import Embeddings


def upstream(fields: dict[str, Any]) -> dict[str, Any]:
    return Embeddings(fields, NORMAL).whole(with_usage=True)


def request(fields: dict[str, Any]) -> Any:
    return EMBEDDINGS.parse(orjson.dumps(fields))


def entries_of(fields: dict[str, Any]) -> list[bytes]:
    inputs = fields["input"] if isinstance(fields["input"], list) else [fields["input"]]
    keys = [str(number) for number in range(len(inputs))]
    value = upstream(fields)
    completed = Inputs(request(fields), keys, [None] * len(keys)).completed(value, orjson.dumps(value))
    assert completed
    return [entry for _, entry in completed[1]]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=3), st.booleans()
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["float", "base64", None]),
)
def test_an_assembled_answer_is_the_one_the_upstream_would_have_given(
    inputs: list[tuple[str, bool]], encoding: str | None
) -> None:
    fields: dict[str, Any] = {"model": "text-embedding-3-small", "input": [text for text, _ in inputs]}
    if encoding:
        fields["encoding_format"] = encoding
    expected = upstream(fields)
    kept = entries_of(fields)
    found = [entry if is_there else None for entry, (_, is_there) in zip(kept, inputs, strict=True)]
    half = Inputs(request(fields), [f"k{n}" for n in range(len(inputs))], found)
    answer = half.answer()
    if None not in found:
        assert answer
        assert orjson.loads(answer) == {**expected, "usage": {"prompt_tokens": 0, "total_tokens": 0}}
        return
    assert answer is None
    asked = half.left_to_ask()
    value = upstream(asked.fields)
    completed = half.completed(value, orjson.dumps(value))
    assert completed
    body, entries = completed
    # The usage is the upstream's for what it was asked.
    assert orjson.loads(body) == {**expected, "usage": value["usage"]}
    missing = [index for index, entry in enumerate(found) if entry is None]
    assert entries == [(f"k{index}", kept[index]) for index in missing]


def test_when_all_are_missing_request_and_answer_pass_byte_for_byte() -> None:
    asked = request({"model": "m", "input": ["a", "b"]})
    inputs = Inputs(asked, ["0", "1"], [None, None])
    assert inputs.left_to_ask() is asked
    value = upstream({"model": "m", "input": ["a", "b"]})
    completed = inputs.completed(value, b"as it came")
    assert completed
    assert completed[0] == b"as it came"


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [{"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 2, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1}],
        [{"index": 0, "embedding": [1.0]}, {"index": True, "embedding": [1.0]}],
        [{"index": n, "embedding": [1.0]} for n in (0, 1, 1)],
    ],
)
def test_an_answer_without_one_embedding_for_each_input_is_not_taken_apart(data: Any) -> None:
    inputs = Inputs(request({"model": "m", "input": ["a", "b"]}), ["0", "1"], [None, None])
    assert inputs.completed({"model": "m", "data": data}, b"") is None


def test_the_order_of_the_upstreams_data_does_not_matter() -> None:
    inputs = Inputs(request({"model": "m", "input": ["a", "b", "c"]}), list("abc"), [None, b'"m"\n[9]', None])
    data = [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]
    completed = inputs.completed({"model": "m", "data": data}, b"")
    assert completed
    assert [item["embedding"] for item in orjson.loads(completed[0])["data"]] == [[1], [9], [2]]
