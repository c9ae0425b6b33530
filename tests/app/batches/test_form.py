"""Forms are read as they were written, whatever is in them."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.batches.form import MAX_FILE_BYTES, Form, read_form, write_form
from app.errors import ApiError

TEXTS = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9_\[\]]{1,20}", fullmatch=True), st.text(max_size=50), max_size=4
)


def there_and_back(form: Form) -> Form:
    async def go() -> Form:
        return await read_form(*await write_form(form))

    return asyncio.run(go())


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300), TEXTS)
def test_a_form_is_read_as_it_was_written(content: bytes, texts: dict[str, str]) -> None:
    texts.pop("file", None)
    form = Form("in put é.jsonl", content, texts)
    assert there_and_back(form) == form


def test_a_file_of_the_largest_size_is_read() -> None:
    form = Form("a.jsonl", (b"x" * 99 + b"\n") * (MAX_FILE_BYTES // 100), {"purpose": "batch"})
    assert there_and_back(form) == form


def test_a_name_ends_no_text_that_it_is_in() -> None:
    assert there_and_back(Form('a"b\\', b"", {})).filename == "a_b_"


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_what_is_no_form_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        asyncio.run(read_form("multipart/form-data; boundary=x", body))
    assert refused.value.status == 400
