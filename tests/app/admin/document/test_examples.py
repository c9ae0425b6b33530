"""The committed files of staging and production: applied to real organizations, they are what is there."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from app.admin.document.file import Organization, Project, load
from tests.app.admin.document.command import Command
from tests.app.admin.document.documents import Document
from tests.app.admin.people import People
from tests.servers import ROOT

STAGING, PROD = ROOT / "organization.staging.yaml", ROOT / "organization.prod.yaml"


@pytest.fixture(scope="module")
def staging() -> Organization:
    return load(STAGING)


@pytest.fixture(scope="module")
def prod() -> Organization:
    return load(PROD)


def test_both_are_applied_exported_and_compared(more_people: Callable[[], People], tmp_path: Path) -> None:
    exported = []
    for path in (STAGING, PROD):
        folder = tmp_path / path.stem
        folder.mkdir()
        command = Command(more_people(), folder)
        document: Document = yaml.safe_load(path.read_text())
        assert command.apply(document).code == 0
        assert command.apply(document).out.splitlines()[-1] == "no changes"
        output = str(folder / "exported.yaml")
        assert command.run("export", "--output", output).code == 0
        exported.append(output)
    differences = command.run("diff", *exported)
    assert differences.code == 1
    assert "    ~ settings[caps].max_tokens: 2048 → 8192" in differences.out.splitlines()
    assert "    - users[developers@example.com]: role reader" in differences.out
    assert command.run("diff", exported[0], exported[0]).out == ""


def test_staging_is_small_and_cheap(staging: Organization, prod: Organization) -> None:
    assert Decimal(staging.spend_limit_usd or 0) * 10 <= Decimal(prod.spend_limit_usd or 0)
    assert [project.name for project in staging.projects] == [project.name for project in prod.projects]
    for small, large in zip(staging.projects, prod.projects, strict=True):
        assert Decimal(small.spend_limit_usd or 0) * 10 <= Decimal(large.spend_limit_usd or 0)
        assert small.settings["caps"]["input_bytes"] < large.settings["caps"]["input_bytes"]
        for limit in small.rate_limits:
            assert (limit.max_requests_per_1_minute or 0) <= 60


def test_every_budget_is_told_of_before_it_is_spent(staging: Organization, prod: Organization) -> None:
    for file in (staging, prod):
        parts: list[Organization | Project] = [file, *file.projects]
        for part in parts:
            limit = Decimal(part.spend_limit_usd or 0)
            assert part.spend_alerts
            assert all(Decimal(alert.threshold_usd) < limit for alert in part.spend_alerts)


def test_production_has_few_people_and_only_models_that_are_listed(
    staging: Organization, prod: Organization
) -> None:
    owners = [user for user in prod.users if user.role == "owner"]
    assert len(owners) == 2
    assert all(role == "member" for user in prod.users for role in user.projects.values())
    assert "developers@example.com" not in {user.email for user in prod.users}
    for project in (*prod.projects, *staging.projects):
        permissions = project.model_permissions
        assert permissions is not None
        assert permissions.mode == "allow_list"
        aliases = project.settings.get("model_aliases", {})
        assert {model for alias in aliases.values() for model in alias["models"]} <= {*permissions.model_ids}
        assert {limit.model for limit in project.rate_limits} == {*permissions.model_ids}
