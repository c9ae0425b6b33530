"""Images: nothing is built on this machine, where the tasks run from the working tree.

What is put into local ECR is a manifest that names the content of the build's folder, so that the image has a
digest, the digest changes with the code, and the task definition refers to an image that exists.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from local.provider.registry import Created, ResourceRequest, resource

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
NOT_CONTENT = {"__pycache__", ".git"}


@resource("docker-build:index:Image")
def image(request: ResourceRequest) -> Created:
    content = _content_digest(Path(request["dockerfile"]["location"]).parent)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "digest": content, "size": 0},
            "layers": [],
        }
    )
    digest = _sha256(manifest.encode())
    references = _pushed(request)
    for reference in references:
        digest = _put(request, reference, manifest)
    ref = f"{references[0].partition(':')[0]}@{digest}" if references else digest
    return Created(ref, {"digest": digest, "ref": ref, "contextHash": content})


def _pushed(request: ResourceRequest) -> list[str]:
    """The names under which the image is pushed: its tags, or those of an export."""
    names = [str(tag) for tag in request.get("tags", [])] if request.get("push") else []
    for export in request.get("exports", []):
        for kind in ("image", "registry"):
            block = export.get(kind) or {}
            if kind == "registry" or block.get("push"):
                names += [str(name) for name in block.get("names") or []]
    return names


def _put(request: ResourceRequest, reference: str, manifest: str) -> str:
    """Puts the manifest under `registry/repository[:tag]` and returns its digest."""
    repository, _, tag = reference.partition("/")[2].partition(":")
    put: dict[str, Any] = request.call(
        "ecr", "put_image",
        repositoryName=repository, imageTag=tag or None, imageManifest=manifest,
        imageManifestMediaType=MANIFEST_TYPE, imageDigest=_sha256(manifest.encode()),
    )["image"]  # fmt: skip
    return str(put["imageId"]["imageDigest"])


def _content_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not NOT_CONTENT & set(path.parts):
            digest.update(f"{path.relative_to(folder)}\0{_sha256(path.read_bytes())}\0".encode())
    return f"sha256:{digest.hexdigest()}"


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
