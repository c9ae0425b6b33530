"""What a project is told of the models there are."""

from app.models.listing import described, listing
from app.models.permissions import ModelPermissions

UPSTREAM = {"object": "list", "data": [{"id": "gpt-4o", "x": 1}, {"id": "o3"}], "more": True}


def test_a_list_ends_with_the_aliases_and_leaves_out_what_is_not_permitted() -> None:
    permissions = ModelPermissions(mode="deny_list", model_ids=("o3",))
    assert listing(UPSTREAM, ("fast",), permissions) == {
        "object": "list",
        "data": [{"id": "gpt-4o", "x": 1}, described("fast")],
        "more": True,
    }
    assert listing(UPSTREAM, (), None) == UPSTREAM


def test_an_alias_is_described_as_a_model_is() -> None:
    assert described("fast") == {"id": "fast", "object": "model", "created": 0, "owned_by": "gateway"}
