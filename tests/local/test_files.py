import stat
from pathlib import Path

import pytest

from local.files import read_json, write_json


def test_what_is_written_is_read_and_only_its_owner_may(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"key": [1, None]})
    assert read_json(tmp_path / "a.json", None) == {"key": [1, None]}
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o600


def test_a_missing_file_reads_as_the_default(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json", {"a": 1}) == {"a": 1}


def test_a_write_that_fails_leaves_the_old_content_and_no_other_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    circular: list[object] = []
    circular.append(circular)
    with pytest.raises(ValueError, match="Circular"):
        write_json(tmp_path / "a.json", circular)
    assert read_json(tmp_path / "a.json", None) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
