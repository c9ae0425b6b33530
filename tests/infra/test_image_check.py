"""An `up` whose image is not in its registry ends before a task definition names it, with what to do."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pulumi
import pytest
from moto import mock_aws

from infra.image_check import ImageMissingError, check_image, image_must_be_there
from tests.infra.graph import StackGraph, stack_graph

REGION = "us-east-1"
MISSING = "sha256:" + "0" * 64


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a repository in moto that holds no image."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = boto3.Session(region_name=REGION).client("ecr").create_repository(repositoryName="registry-1")
        yield made["repository"]["repositoryUri"]


def put_image(name: str = "registry-1") -> str:
    """Puts an image without a tag, as a promotion does, and returns its digest."""
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []}
    ecr = boto3.Session(region_name=REGION).client("ecr")
    put = ecr.put_image(repositoryName=name, imageManifest=json.dumps(manifest))
    return str(put["image"]["imageId"]["imageDigest"])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """run(uri): what the hook does when the image's address is `uri`, None for not known yet."""
    registered: list[Any] = []

    class Hook:
        def __init__(self, name: str, callback: Any, opts: Any) -> None:
            assert opts.on_dry_run, f"{name} must run in previews too"
            registered.append(callback)

    class Address:
        def __init__(self, uri: str | None) -> None:
            self.uri = uri

        async def future(self) -> str | None:
            return self.uri

    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "prod")

    def run_hook(uri: str | None) -> None:
        binding = image_must_be_there(Address(uri), REGION)  # type: ignore[arg-type]
        assert len(binding.before_create or []) == len(binding.before_update or []) == 1
        asyncio.run(registered[-1](None))

    return run_hook


def test_an_image_that_is_there_may_be_run(registry: str) -> None:
    check_image(boto3.Session(), f"{registry}@{put_image()}", "prod")


def test_one_that_is_not_is_refused_with_the_command_that_brings_it(registry: str) -> None:
    put_image()
    with pytest.raises(ImageMissingError) as refused:
        check_image(boto3.Session(), f"{registry}@{MISSING}", "prod")
    assert f"image_digest = {MISSING}" in str(refused.value)
    assert registry in str(refused.value)
    assert "python -m infra.promote --to prod" in str(refused.value)


def test_the_hook_asks_the_registry_of_the_image(registry: str, run: Any) -> None:
    run(f"{registry}@{put_image()}")
    with pytest.raises(ImageMissingError):
        run(f"{registry}@{MISSING}")


def test_a_preview_before_the_registry_is_made_asks_nothing(run: Any) -> None:
    run(None)


def test_a_given_digest_is_checked_and_a_built_image_needs_none(
    staging: StackGraph, production: StackGraph
) -> None:
    asked = {"before_create": ["image-is-there"], "before_update": ["image-is-there"]}
    assert production.one("TaskDefinition").hooks == asked
    assert staging.one("TaskDefinition").hooks == {}
    assert stack_graph("staging", image_digest="sha256:" + "c" * 64).one("TaskDefinition").hooks == asked
