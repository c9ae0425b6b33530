"""Copies an image between two ECR repositories without Docker, and checks every digest on the way.

An image is a manifest that names its layers by digest; an index is a manifest that names images by digest.
What is named is copied first, so that a manifest never stands in the target without its parts.
"""

import hashlib
import json
import tempfile
import urllib.request
from dataclasses import dataclass
from typing import IO, Any

import boto3

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
IMAGE_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

READ_BYTES = 1 << 20
DOWNLOAD_TIMEOUT_S = 60


class ImageCopyError(Exception):
    """An image that could not be copied whole, or whose bytes are not those of its digest."""


@dataclass(frozen=True)
class Registry:
    """A repository, and the client (boto3's `ecr`) that may read it or write to it."""

    ecr: Any
    account_id: str
    repository: str

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an API of ECR about this repository."""
        answer: dict[str, Any] = getattr(self.ecr, operation)(
            registryId=self.account_id, repositoryName=self.repository, **parameters
        )
        return answer


def registry_of(session: boto3.Session, repository_url: str) -> Registry:
    """The registry behind an address such as `<account>.dkr.ecr.<region>.amazonaws.com/<name>`."""
    host, _, name = repository_url.partition("/")
    account, _, _, region, *_ = host.split(".")
    return Registry(session.client("ecr", region_name=region), account, name)


def copy_image(source: Registry, target: Registry, digest: str) -> int:
    """Copy the image `digest` and return the bytes of layers that were copied, 0 when it was there.

    Raises ImageCopyError, or botocore's ClientError when a registry refuses.
    """
    if has_image(target, digest):
        return 0
    manifest, media_type = _manifest(source, digest)
    parsed = json.loads(manifest)
    if media_type in INDEX_TYPES:
        copied = sum(copy_image(source, target, part["digest"]) for part in parsed["manifests"])
    else:
        layers = [parsed["config"], *parsed["layers"]]
        copied = sum(_copy_layer(source, target, layer["digest"]) for layer in _missing(target, layers))
    target.call("put_image", imageManifest=manifest, imageManifestMediaType=media_type, imageDigest=digest)
    if not has_image(target, digest):
        raise ImageCopyError(f"{target.repository} took {digest} and does not have it; try again")
    return copied


def has_image(registry: Registry, digest: str) -> bool:
    """Whether the repository holds the image `digest`, tagged or not."""
    return bool(_images(registry, digest))


def _manifest(registry: Registry, digest: str) -> tuple[str, str]:
    """A manifest's text and type, the text being exactly what the digest is of."""
    images = _images(registry, digest)
    if not images:
        raise ImageCopyError(f"{registry.repository} has no image {digest}")
    manifest: str = images[0]["imageManifest"]
    if _digest(manifest.encode()) != digest:
        raise ImageCopyError(f"{registry.repository} gave another manifest than {digest}")
    return manifest, images[0].get("imageManifestMediaType") or json.loads(manifest)["mediaType"]


def _images(registry: Registry, digest: str) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = registry.call(
        "batch_get_image", imageIds=[{"imageDigest": digest}], acceptedMediaTypes=[*INDEX_TYPES, *IMAGE_TYPES]
    )["images"]
    return images


def _missing(target: Registry, layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers that the target does not have, each once."""
    by_digest = {layer["digest"]: layer for layer in layers}
    answer = target.call("batch_check_layer_availability", layerDigests=list(by_digest))
    there = {found["layerDigest"] for found in answer["layers"] if found["layerAvailability"] == "AVAILABLE"}
    return [layer for digest, layer in by_digest.items() if digest not in there]


def _copy_layer(source: Registry, target: Registry, digest: str) -> int:
    """Through a file, because its digest is known to be right only when it was read to the end."""
    url = source.call("get_download_url_for_layer", layerDigest=digest)["downloadUrl"]
    with tempfile.TemporaryFile() as kept:
        # ECR answers with an address of S3 that is signed for a short time.
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_S) as layer:  # noqa: S310
            size, found = _save(layer, kept)
        if found != digest:
            raise ImageCopyError(f"layer {digest} arrived as {found}; try again")
        upload = target.call("initiate_layer_upload")
        kept.seek(0)
        first = 0
        while part := kept.read(upload["partSize"]):
            target.call(
                "upload_layer_part",
                uploadId=upload["uploadId"],
                partFirstByte=first,
                partLastByte=first + len(part) - 1,
                layerPartBlob=part,
            )
            first += len(part)
    target.call("complete_layer_upload", uploadId=upload["uploadId"], layerDigests=[digest])
    return size


def _save(layer: IO[bytes], kept: IO[bytes]) -> tuple[int, str]:
    """Size and digest of what was saved."""
    digest, size = hashlib.sha256(), 0
    while chunk := layer.read(READ_BYTES):
        digest.update(chunk)
        size += kept.write(chunk)
    return size, f"sha256:{digest.hexdigest()}"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
