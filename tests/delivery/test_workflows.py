"""The workflows: pinned, with the least rights, and each allowed by the role it takes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from infra.access import DEPLOYING_S, environment_subject, reader_subjects
from infra.config import ROOT, load_file
from infra.streaming import LONGEST_STREAM_S, streaming_budget
from infra.verify import patience_s

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
REPOSITORY = load_file("staging").repository
LEAST = {"contents": "read"}

Workflow = Mapping[Any, Any]
Job = Mapping[str, Any]


def read(name: str) -> Workflow:
    parsed: Workflow = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())
    return parsed


def jobs() -> Iterator[tuple[str, str, Workflow, Job]]:
    for path in WORKFLOWS:
        workflow = read(path.stem)
        for name, job in workflow["jobs"].items():
            yield path.stem, name, workflow, job


def triggers(workflow: Workflow) -> Mapping[str, Any]:
    """YAML 1.1 reads the key `on` as true."""
    found: Mapping[str, Any] = workflow[True]
    return found


def steps(job: Job, action: str) -> list[Mapping[str, Any]]:
    return [step for step in job["steps"] if step.get("uses", "").startswith(f"{action}@")]


def test_there_is_a_workflow_for_each_part_of_delivery() -> None:
    assert [path.stem for path in WORKFLOWS] == ["ci", "deploy", "drift", "preview"]
    assert set(triggers(read("ci"))) == {"pull_request", "push"}
    assert set(triggers(read("preview"))) == {"pull_request"}
    assert triggers(read("deploy"))["push"] == {"branches": ["main"]}
    assert "schedule" in triggers(read("drift"))


def test_every_action_is_pinned_to_a_commit_and_says_its_version() -> None:
    for path in WORKFLOWS:
        for line in re.findall(r"uses: (.+)", path.read_text()):
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), (path.name, line)


def test_an_action_is_pinned_to_one_commit_everywhere() -> None:
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    used = re.findall(r"uses: ([\w./-]+)@(\w+)", text)
    assert len(set(used)) == len({action for action, _ in used})


def test_workflows_get_the_least_rights_and_ask_for_more_job_by_job() -> None:
    for file, name, workflow, job in jobs():
        assert workflow["permissions"] == LEAST, file
        rights = job.get("permissions", LEAST)
        extra = {key: value for key, value in rights.items() if LEAST.get(key) != value}
        takes_role = bool(steps(job, "aws-actions/configure-aws-credentials"))
        allowed = {"id-token": "write"} if takes_role else {}
        if file == "preview":
            allowed["pull-requests"] = "write"
        assert extra == allowed, (file, name)


def test_no_key_of_aws_is_kept_at_github() -> None:
    for path in WORKFLOWS:
        secrets = set(re.findall(r"secrets\.(\w+)", path.read_text()))
        assert secrets <= {"PULUMI_ACCESS_TOKEN"}, path.name
        assert "aws-secret-access-key" not in path.read_text()


def test_no_expression_is_pasted_into_a_shell() -> None:
    """A branch's or a title's text would run as a command."""
    for file, name, _, job in jobs():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), (file, name)


def test_checkouts_leave_no_token_behind_and_jobs_end() -> None:
    for file, name, _, job in jobs():
        assert job["timeout-minutes"] <= (120 if file == "deploy" else 60), (file, name)
        for step in steps(job, "actions/checkout"):
            assert step["with"]["persist-credentials"] is False, (file, name)


def subject(file: str, job: Job) -> str:
    """What GitHub's token calls the job (its OpenID Connect reference)."""
    if "environment" in job:
        return environment_subject(REPOSITORY, job["environment"])
    return (
        f"repo:{REPOSITORY}:pull_request" if file == "preview" else f"repo:{REPOSITORY}:ref:refs/heads/main"
    )


def roles(job: Job) -> Iterator[str]:
    """Names of the repository's variables that hold the ARNs of the roles that a job takes."""
    for step in steps(job, "aws-actions/configure-aws-credentials"):
        value = step["with"]["role-to-assume"]
        if "matrix.role" in value:
            yield from (entry["role"] for entry in job["strategy"]["matrix"]["include"])
        else:
            yield re.fullmatch(r"\$\{\{ vars\.(\w+) \}\}", value)[1]  # type: ignore[index]


def test_every_job_may_take_the_roles_that_it_takes() -> None:
    taken = set()
    for file, name, _, job in jobs():
        for variable in roles(job):
            environment, _, role = variable.removesuffix("_ROLE_ARN").lower().partition("_")
            taken.add((environment, role))
            if role == "deployer":
                assert job["environment"] == environment, (file, name)
                assert file == "deploy", "only main deploys"
            else:
                assert subject(file, job) in reader_subjects(REPOSITORY, environment), (file, name, variable)
    assert taken == {
        ("staging", "reader"),
        ("staging", "deployer"),
        ("production", "reader"),
        ("production", "deployer"),
    }


def test_a_pull_request_of_a_fork_gets_no_credentials() -> None:
    condition = read("preview")["jobs"]["staging"]["if"]
    assert condition == "github.event.pull_request.head.repo.full_name == github.repository"


def test_production_gets_what_staging_ran_and_only_after_it() -> None:
    deploy = read("deploy")["jobs"]
    assert deploy["production"]["needs"] == "staging"
    assert {name: job["environment"] for name, job in deploy.items()} == {
        "staging": load_file("staging").environment,
        "production": load_file("prod").environment,
    }
    commands = [step["run"] for step in deploy["production"]["steps"] if "run" in step]
    promoted = next(i for i, command in enumerate(commands) if "infra.promote" in command)
    assert "pulumi up --stack prod" in commands[promoted + 1]


def test_a_deployment_has_time_for_the_longest_streams() -> None:
    """`pulumi up` waits for ECS, which waits for the streams of the tasks it replaces."""
    streams = streaming_budget(LONGEST_STREAM_S.stop - 1)
    waits_s = patience_s(streams.deregistration_delay_s, streams.stop_timeout_s)
    everything_else_s = 1800
    for name, job in read("deploy")["jobs"].items():
        [with_rights_s] = [
            step["with"]["role-duration-seconds"]
            for step in steps(job, "aws-actions/configure-aws-credentials")
            if "DEPLOYER" in step["with"]["role-to-assume"]
        ]
        assert waits_s + everything_else_s <= with_rights_s == DEPLOYING_S, name
        assert job["timeout-minutes"] * 60 == with_rights_s, name


def test_deployments_neither_overlap_nor_are_cut() -> None:
    assert read("deploy")["concurrency"] == {"group": "deploy", "cancel-in-progress": False}


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_every_deployment_is_held_to_the_policies(stack: str) -> None:
    commands = [
        step["run"] for job in read("deploy")["jobs"].values() for step in job["steps"] if "run" in step
    ]
    [command] = [command for command in commands if f"pulumi up --stack {stack} " in command]
    assert command.endswith("--policy-pack policy/pack")
