"""What a request refers to: found wherever it may stand, and never sent on when it is not the project's."""

import json
from typing import Any

import pytest

from app.endpoints import CHAT_COMPLETIONS, RESPONSES, ApiRequest
from app.errors import ApiError
from app.kept.references import References, references

MODEL = "gpt-4o-mini"
USER = {"role": "user", "content": "hi"}


def own(given: object) -> str | None:
    """The project's are those that say so."""
    return given.removeprefix("own:") if isinstance(given, str) and given.startswith("own:") else None


def request(**fields: Any) -> ApiRequest:
    return RESPONSES.parse(json.dumps({"model": MODEL, "input": "hi", **fields}).encode())


def found(**fields: Any) -> References:
    return references(request(**fields), own)


def refusal(**fields: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        found(**fields)
    return refused.value


@pytest.mark.parametrize(
    ("fields", "members"),
    [
        ({"previous_response_id": "own:resp_1"}, {"previous_response_id": "resp_1"}),
        (
            {"prompt_cache_options": {"mode": "implicit", "comparison_response_id": "own:resp_1"}},
            {"prompt_cache_options": {"mode": "implicit", "comparison_response_id": "resp_1"}},
        ),
        (
            {"input": [USER, {"type": "item_reference", "id": "own:msg_1"}]},
            {"input": [USER, {"type": "item_reference", "id": "msg_1"}]},
        ),
        (
            {"input": [{"type": "reasoning", "id": "own:rs_1", "summary": []}]},
            {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]},
        ),
        (
            {"input": [{"type": "mcp_approval_response", "approval_request_id": "own:m_1", "approve": True}]},
            {"input": [{"type": "mcp_approval_response", "approval_request_id": "m_1", "approve": True}]},
        ),
        (
            {"tools": [{"type": "code_interpreter", "container": "own:cntr_1"}]},
            {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
        ),
        (
            {"tools": [{"type": "shell", "environment": {"type": "x", "container_id": "own:cntr_1"}}]},
            {"tools": [{"type": "shell", "environment": {"type": "x", "container_id": "cntr_1"}}]},
        ),
    ],
)
def test_the_projects_own_goes_with_the_upstreams_id(fields: dict[str, Any], members: dict[str, Any]) -> None:
    read = found(**fields)
    assert (read.members, read.any) == (members, True)


@pytest.mark.parametrize(
    ("fields", "status", "param", "code"),
    [
        ({"previous_response_id": "resp_1"}, 400, "previous_response_id", "previous_response_not_found"),
        (
            {"prompt_cache_options": {"comparison_response_id": "resp_1"}},
            400,
            "prompt_cache_options.comparison_response_id",
            "previous_response_not_found",
        ),
        ({"conversation": "conv_1"}, 404, "conversation", "not_found"),
        ({"conversation": {"id": "own:conv_1"}}, 404, "conversation", "not_found"),
        ({"input": [USER, {"type": "item_reference", "id": "msg_1"}]}, 404, "input[1].id", "not_found"),
        (
            {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
            404,
            "tools[0].container",
            "not_found",
        ),
        (
            {"tools": [{"type": "shell", "environment": {"container_id": 7}}]},
            404,
            "tools[0].environment.container_id",
            "not_found",
        ),
    ],
)
def test_what_is_anothers_is_told_of_as_nobodys(
    fields: dict[str, Any], status: int, param: str, code: str
) -> None:
    refused = refusal(**fields)
    assert (refused.status, refused.param, refused.code) == (status, param, code)
    assert refused.kind == "invalid_request_error"


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "role": "assistant", "content": "hi"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"type": "image_generation_call"},
    ],
)
@pytest.mark.parametrize("item_id", ["msg_1", None, 7])
def test_an_item_loses_an_id_that_is_not_the_projects_and_keeps_its_content(
    item: dict[str, Any], item_id: object
) -> None:
    read = found(input=[{"id": item_id, **item, "container_id": "cntr_1"}])
    assert (read.members, read.any) == ({"input": [item]}, False)


def test_an_item_that_names_the_call_it_answers_keeps_that() -> None:
    item = {"type": "local_shell_call_output", "id": "call_1", "output": "x"}
    assert found(input=[item]).members == {"input": [item]}


def test_files_are_found_wherever_they_may_stand() -> None:
    def part(number: int) -> dict[str, Any]:
        return {"type": "input_file", "file_id": f"file-{number}"}

    read = found(
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "x"}, part(1)]},
            {"type": "function_call_output", "call_id": "c", "output": [part(2)]},
            {"type": "computer_call_output", "call_id": "c", "output": {"type": "s", "file_id": "file-3"}},
        ],
        tools=[
            {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-4"]}},
            {"type": "image_generation", "input_image_mask": {"file_id": "file-5"}},
        ],
        prompt={"id": "pmpt_1", "variables": {"name": "x", "file": part(6)}},
    )
    assert read.files == [
        ("input[0].content[1].file_id", "file-1"),
        ("input[1].output[0].file_id", "file-2"),
        ("input[2].output.file_id", "file-3"),
        ("tools[0].container.file_ids[0]", "file-4"),
        ("tools[1].input_image_mask.file_id", "file-5"),
        ("prompt.variables.file.file_id", "file-6"),
    ]
    assert read.members.keys() == {"input", "tools", "prompt"}
    assert read.any


def test_a_file_of_chat_completions_is_found() -> None:
    messages = [USER, {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]
    read = references(
        CHAT_COMPLETIONS.parse(json.dumps({"model": MODEL, "messages": messages}).encode()), own
    )
    assert read.files == [("messages[1].content[0].file.file_id", "file-1")]
    assert read.members == {"messages": messages}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"input": [USER, {"type": "function_call_output", "call_id": "c", "output": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://x"}]}]},
        {"tools": [{"type": "function", "name": "f", "container": "cntr_1"}, {"type": "web_search"}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
        {"prompt": {"id": "pmpt_1", "variables": {"name": "x"}}, "prompt_cache_options": {"ttl": "30m"}},
        {"previous_response_id": None, "conversation": None, "tools": None, "prompt": None},
    ],
)
def test_a_request_that_refers_to_nothing_stays_as_it_is(fields: dict[str, Any]) -> None:
    assert found(**fields) == References()


@pytest.mark.parametrize(
    "body",
    [
        '"previous_response_id":"own:resp_1","previous_response_id":"resp_2"',
        '"previous_response_id":"resp_2","previous_response_i\\u0064":"own:resp_1"',
        '"conversation":"conv_1","conversation":null',
    ],
)
def test_a_reference_that_comes_twice_is_refused(body: str) -> None:
    with pytest.raises(ApiError) as refused:
        RESPONSES.parse(f'{{"model":"{MODEL}","input":"hi",{body}}}'.encode())
    assert refused.value.code == "duplicate_field"


@pytest.mark.parametrize(
    "item",
    [
        '{"type":"item_reference","id":"msg_2","id":"own:msg_1"}',
        '{"type":"item_reference","id":"msg_2","i\\u0064":"own:msg_1"}',
        '{"id":"msg_2","type":"message","role":"user","content":"x","id":null}',
        '{"role":"user","content":[{"type":"input_file","file_id":"msg_2","file_id":"file-1"}]}',
        '{"role":"user","content":[{"type":"input_file","file_id":"msg_2","file_id":null}]}',
    ],
)
def test_within_an_item_only_what_was_read_goes_upstream(item: str) -> None:
    parsed = RESPONSES.parse(f'{{"model":"{MODEL}","n":1.50,"input":[{item}],"top_p":0.10}}'.encode())
    sent = parsed.rewritten(references(parsed, own).members).body
    assert b"msg_2" not in sent
    assert sent.startswith(f'{{"model":"{MODEL}","n":1.50,"input":['.encode())
    assert sent.endswith(b'],"top_p":0.10}')
