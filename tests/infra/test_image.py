"""Images: built and pushed by digest in staging, only ever named by digest in production."""

import json

from tests.infra.graph import StackGraph, stack_graph


def image_of(graph: StackGraph) -> str:
    [container] = json.loads(graph.one("TaskDefinition").get("containerDefinitions"))
    return str(container["image"])


def test_staging_runs_the_digest_it_has_built(staging: StackGraph) -> None:
    build = staging.one("Image")
    assert image_of(staging) == f"{staging.outputs['repository_url']}@{build.get('digest')}"


def test_the_build_is_pushed_to_the_stacks_registry_without_a_tag(staging: StackGraph) -> None:
    build = staging.one("Image")
    [export] = build.get("exports")
    assert export["image"]["names"] == [staging.outputs["repository_url"]]
    assert export["image"]["push"] is export["image"]["pushByDigest"] is True
    assert build.get("tags") is None
    assert build.get("dockerfile", "location") == "app/Dockerfile"
    assert build.get("context", "location") == "."
    assert build.get("platforms") == ["linux/amd64"]
    assert build.get("buildOnPreview") is False


def test_the_registrys_password_is_secret(staging: StackGraph) -> None:
    assert "registries" in staging.one("Image").secret_inputs


def test_production_never_builds(production: StackGraph) -> None:
    assert production.all("Image") == []
    assert image_of(production) == f"{production.outputs['repository_url']}@sha256:{'0' * 64}"


def test_staging_can_run_a_given_digest_too() -> None:
    digest = "sha256:" + "c" * 64
    graph = stack_graph("staging", image_digest=digest)
    assert graph.all("Image") == []
    assert image_of(graph).endswith(f"@{digest}")


def test_the_registry_is_immutable_scanned_and_keeps_the_newest(either: StackGraph) -> None:
    repository = either.one("Repository")
    assert repository.get("imageTagMutability") == "IMMUTABLE"
    assert repository.get("imageScanningConfiguration") == {"scanOnPush": True}
    [rule] = json.loads(either.one("LifecyclePolicy").get("policy"))["rules"]
    assert rule["selection"]["tagStatus"] == "any", "images that run by digest have no tag"
