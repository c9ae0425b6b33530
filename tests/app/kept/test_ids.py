"""Ids that leave signed for a project and come back to it alone; every other byte stays."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kept import KeptIds

IDS = KeptIds("pepper-" + "p" * 40)
OWN, OTHER = IDS.of("proj_own"), IDS.of("proj_other")
RESPONSE = "resp_0a0cc8227e90b719016a585a7ada5481"
ITEM = "msg_0a0cc8227e90b719016a585a7ada5481"
BEFORE = "resp_before_90b719016a585a7ada5481"


@given(st.text(min_size=1))
def test_a_signed_id_is_opened_for_its_project_and_for_no_other(kept_id: str) -> None:
    signed = OWN.signed(kept_id)
    assert signed.startswith(kept_id)
    assert OWN.opened(signed) == kept_id
    assert OTHER.opened(signed) is None
    assert OWN.opened(kept_id) is None
    assert KeptIds("another-pepper-" + "p" * 40).of("proj_own").opened(signed) is None


@given(st.text() | st.none() | st.integers() | st.lists(st.text()))
def test_what_was_never_signed_is_opened_for_nobody(given_id: object) -> None:
    assert OWN.opened(given_id) is None


@given(st.integers(0, 21), st.sampled_from("AQgw_-."))
def test_a_signature_with_another_character_is_none(place: int, character: str) -> None:
    signed = OWN.signed(RESPONSE)
    at = len(RESPONSE) + 1 + place
    changed = signed[:at] + character + signed[at + 1 :]
    assert (OWN.opened(changed) == RESPONSE) == (changed == signed)


def test_the_ids_of_an_answer_are_signed_and_no_other_byte_of_it_is_changed() -> None:
    body = (
        f'{{ "id":"{RESPONSE}","previous_response_id": "{BEFORE}","n":1.50, "x":12345678901234567890123,\n'
        f'"output":[{{"type":"message","id":"{ITEM}","content":[{{"text":"said {ITEM} \\"{ITEM}\\""}}]}},'
        f'{{"type":"code_interpreter_call","id":"ci_0123456789abcdef","container_id":"cntr_0123456789abcdef"}}],'
        f'"prompt":{{"id":"pmpt_0123456789abcdef"}},"metadata":{{"id":"mine_0123456789"}}}}'
    ).encode()
    signed = OWN.in_answer(body, json.loads(body))
    value = json.loads(signed)
    assert OWN.opened(value["id"]) == RESPONSE
    assert OWN.opened(value["previous_response_id"]) == BEFORE
    message, run = value["output"]
    assert OWN.opened(message["id"]) == ITEM
    assert message["content"] == json.loads(body)["output"][0]["content"]
    assert OWN.opened(run["id"]) == "ci_0123456789abcdef"
    assert OWN.opened(run["container_id"]) == "cntr_0123456789abcdef"
    assert (value["prompt"], value["metadata"]) == (
        {"id": "pmpt_0123456789abcdef"},
        {"id": "mine_0123456789"},
    )
    for one in (RESPONSE, BEFORE, ITEM, "ci_0123456789abcdef", "cntr_0123456789abcdef"):
        signed = signed.replace(f'"{OWN.signed(one)}"'.encode(), f'"{one}"'.encode())
    assert signed == body


@pytest.mark.parametrize(
    "value",
    [
        {"type": "response.created", "response": {"id": RESPONSE, "output": []}},
        {"type": "response.output_item.added", "item": {"id": RESPONSE, "type": "message"}},
        {"type": "response.output_text.delta", "item_id": RESPONSE, "delta": "x"},
    ],
)
def test_the_ids_of_an_event_are_signed(value: dict[str, Any]) -> None:
    event = b"event: x\ndata: " + json.dumps(value).encode() + b"\n\n"
    assert OWN.in_event(event, value) == event.replace(RESPONSE.encode(), OWN.signed(RESPONSE).encode())


@pytest.mark.parametrize(
    "value",
    [
        {"id": "", "output": None},
        {"id": 7, "output": [7, {"id": []}, {"id": "completed"}]},
        {"id": "completed", "status": "completed", "output": {}},
        {"item": None, "response": []},
    ],
)
def test_what_is_no_id_stays_as_it_is(value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    assert OWN.in_answer(body, value) == body
    assert OWN.in_event(body, value) == body
