"""What a person and a program are shown, and the small files behind it."""

import dataclasses
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from local.__main__ import main
from local.commands.up import upstream_of
from local.face import Face
from local.hint import FOLDER, python
from local.processes import ProcessRecord
from local.progress import Event, Follower, Progress
from local.state import PUBLIC_KEYS, StackFolder, StackState, UpRequest

RUNNING = StackState(
    "prod",
    "running",
    gateway={"base_url": "https://127.0.0.1:1/v1", "ca_file": "/ca.pem"},
    admin_key="sk-admin-secret",
    api_key="sk-gw-key",
    tasks=[{"id": "a" * 32, "port": 1, "pid": 2, "health": "healthy"}],
    components=[{"name": "valkey", "pid": 3}],
)


def shown(as_json: bool) -> tuple[Face, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Face(as_json, Console(file=out, soft_wrap=True), Console(file=err, soft_wrap=True)), out, err


def test_json_is_one_object_on_standard_output_and_nothing_else() -> None:
    face, out, err = shown(as_json=True)
    face.show_event(Event("step", "local AWS answers", 1.5, 0.5))
    face.show(RUNNING, StackFolder(FOLDER, "staging"))
    assert tuple(json.loads(out.getvalue())) == PUBLIC_KEYS
    assert "local AWS answers" in err.getvalue()


def test_a_person_is_told_how_to_call_the_stack() -> None:
    face, out, _ = shown(as_json=False)
    face.show(RUNNING, StackFolder(FOLDER, "staging"))
    for line in ("OPENAI_BASE_URL=https://127.0.0.1:1/v1 \\", "SSL_CERT_FILE=/ca.pem \\"):
        assert line in out.getvalue().splitlines()
    assert "sk-admin-secret" not in out.getvalue()
    assert f"{python()} -m local down staging" in out.getvalue()


def test_a_stack_that_calls_a_real_upstream_says_so() -> None:
    face, out, _ = shown(as_json=False)
    request = UpRequest(upstream="https://api.openai.com/v1")
    face.show(dataclasses.replace(RUNNING, request=request), StackFolder(FOLDER, "staging"))
    assert "it calls https://api.openai.com/v1, not the stand-in" in out.getvalue()


def test_a_refused_upstream_is_mended_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "staging", "--folder", str(tmp_path), "--upstream", "api.openai.com"]) == 2
    told = capsys.readouterr().err
    assert "mend it: --upstream https://api.openai.com/v1" in told
    assert "pulumi config" not in told


def test_a_refused_override_is_mended_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["--config", "min_tasks=zero", "--config", "blah=1"]
    assert main(["up", "staging", "--folder", str(tmp_path), *overrides]) == 2
    told = capsys.readouterr().err
    assert "mend it: --config min_tasks=2" in told
    assert "mend it: leave out --config blah" in told


def test_the_real_engine_is_asked_for_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["up", "staging", "--folder", str(tmp_path), "--engine", "pulumi"]) == 2
    assert "there is no pulumi command on the PATH" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_progress_is_plain_lines_outside_a_terminal() -> None:
    face, _, err = shown(as_json=False)
    face.show_event(Event("resource", "aws:ec2/vpc:Vpc  network", 2.04, 0.318))
    face.show_event(Event("failed", "no way", 3.0))
    assert err.getvalue() == "   2.0 s  + aws:ec2/vpc:Vpc  network  0.32 s\n   3.0 s  failed: no way\n"


def test_status_shows_tasks_and_components() -> None:
    face, out, _ = shown(as_json=False)
    face.show_status(RUNNING)
    assert "  task aaaaaaaa  healthy, 127.0.0.1:1, pid 2\n  valkey         pid 3\n" in out.getvalue()


def test_events_are_followed_as_they_come(tmp_path: Path) -> None:
    progress, follower = Progress(tmp_path / "p", started_at=0), Follower(tmp_path / "p")
    assert list(follower.new_events()) == []
    progress.tell("step", "one", 0.1)
    with (tmp_path / "p").open("a") as file:
        file.write('{"kind": "note"')
    assert [event.text for event in follower.new_events()] == ["one"]
    with (tmp_path / "p").open("a") as file:
        file.write(', "text": "two", "at_s": 1}\n')
    assert [event.text for event in follower.new_events()] == ["two"]


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = StackFolder(tmp_path, "staging")
    assert folder.read() == StackState("staging", "stopped")
    folder.create()
    record = ProcessRecord("supervisor", 1, 2.0, "boot")
    state = StackState("staging", "running", record, UpRequest({"min_tasks": "2"}, "http://127.0.0.1:1/v1"))
    folder.write(state)
    assert folder.read() == state
    assert not folder.read().is_alive


def test_one_process_has_a_folder_at_a_time(tmp_path: Path) -> None:
    folder = StackFolder(tmp_path, "staging")
    folder.create()
    assert not folder.is_locked()
    assert folder.lock() is not None
    assert folder.is_locked()


def test_the_upstream_may_be_named_either_way_but_not_two_ways() -> None:
    assert upstream_of("http://a", {"min_tasks": "2"}) == ("http://a", {"min_tasks": "2"})
    assert upstream_of(None, {"openai-gateway:openai_base_url": "http://a"}) == ("http://a", {})
    with pytest.raises(ValueError, match="differ"):
        upstream_of("http://a", {"openai_base_url": "http://b"})


def test_status_of_a_stack_that_never_ran_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "staging", "--json", "--folder", str(tmp_path)]) == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["gateway"], found["tasks"]) == ("stopped", None, [])


def test_a_config_that_is_no_assignment_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["up", "--config", "min_tasks"])
    assert "KEY=VALUE" in capsys.readouterr().err


def test_an_unknown_stack_is_refused_with_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("up", "status", "logs", "down"):
        with pytest.raises(SystemExit) as ended:
            main([command, "nope", "--folder", str(tmp_path)])
        assert ended.value.code == 2
        assert "prod" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
