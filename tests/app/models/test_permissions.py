"""Which models a project may use."""

from app.models.permissions import ModelPermissions

ALLOWED = ModelPermissions(mode="allow_list", model_ids=("gpt-4o", "gpt-4o-mini"))
DENIED = ModelPermissions(mode="deny_list", model_ids=("gpt-4o",))


def test_an_allow_list_permits_what_it_names_and_nothing_else() -> None:
    assert ALLOWED.of(("gpt-4o-mini", "gpt-4o-2024-08-06", "gpt-4o", "gpt-4")) == ("gpt-4o-mini", "gpt-4o")
    assert not ModelPermissions(mode="allow_list", model_ids=()).permit("gpt-4o")


def test_a_deny_list_permits_all_but_what_it_names() -> None:
    assert DENIED.of(("gpt-4o-mini", "gpt-4o")) == ("gpt-4o-mini",)


def test_no_spelling_goes_around_a_list() -> None:
    assert not DENIED.permit("GPT-4o")
    assert ALLOWED.permit("Gpt-4O")
