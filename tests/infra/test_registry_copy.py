"""Images are copied whole and once, and only the bytes that their digest names."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.registry_copy import IMAGE_TYPES, INDEX_TYPES, ImageCopyError, Registry, copy_image, registry_of

PART_BYTES = 10


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Ecr:
    """ECR as far as copying needs it; refuses, as ECR does, what is not whole. base_url: of the layers."""

    def __init__(self, base_url: str = "") -> None:
        self.base_url = base_url
        self.layers: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, str]] = {}
        self.uploads: dict[str, bytes] = {}
        self.calls: list[str] = []

    def batch_get_image(self, imageIds: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803
        found = [self.manifests[i["imageDigest"]] for i in imageIds if i["imageDigest"] in self.manifests]
        return {"images": [{"imageManifest": text, "imageManifestMediaType": kind} for text, kind in found]}

    def batch_check_layer_availability(self, layerDigests: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        state = {True: "AVAILABLE", False: "UNAVAILABLE"}
        return {
            "layers": [{"layerDigest": d, "layerAvailability": state[d in self.layers]} for d in layerDigests]
        }

    def get_download_url_for_layer(self, layerDigest: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"downloadUrl": f"{self.base_url}/{layerDigest}"}

    def initiate_layer_upload(self, **_: Any) -> dict[str, Any]:
        upload = str(len(self.uploads))
        self.uploads[upload] = b""
        return {"uploadId": upload, "partSize": PART_BYTES}

    def upload_layer_part(
        self,
        uploadId: str,  # noqa: N803
        partFirstByte: int,  # noqa: N803
        partLastByte: int,  # noqa: N803
        layerPartBlob: bytes,  # noqa: N803
        **_: Any,
    ) -> None:
        assert partFirstByte == len(self.uploads[uploadId])
        assert partLastByte - partFirstByte + 1 == len(layerPartBlob) <= PART_BYTES
        self.uploads[uploadId] += layerPartBlob

    def complete_layer_upload(self, uploadId: str, layerDigests: list[str], **_: Any) -> None:  # noqa: N803
        content = self.uploads.pop(uploadId)
        assert [digest_of(content)] == layerDigests
        self.layers[layerDigests[0]] = content
        self.calls.append("layer")

    def put_image(
        self,
        imageManifest: str,  # noqa: N803
        imageManifestMediaType: str,  # noqa: N803
        imageDigest: str,  # noqa: N803
        **_: Any,
    ) -> None:
        assert digest_of(imageManifest.encode()) == imageDigest
        parsed = json.loads(imageManifest)
        for part in parsed.get("manifests", []):
            assert part["digest"] in self.manifests
        for layer in [*parsed.get("layers", []), *([parsed["config"]] if "config" in parsed else [])]:
            assert layer["digest"] in self.layers
        self.manifests[imageDigest] = (imageManifest, imageManifestMediaType)
        self.calls.append("manifest")

    def add(self, *layers: bytes) -> str:
        """An image of these layers, the first being its config; returns its digest."""
        self.layers |= {digest_of(layer): layer for layer in layers}
        config, *rest = [{"digest": digest_of(layer), "size": len(layer)} for layer in layers]
        return self.add_manifest({"mediaType": IMAGE_TYPES[0], "config": config, "layers": rest})

    def add_manifest(self, parsed: dict[str, Any]) -> str:
        text = json.dumps(parsed)
        self.manifests[digest_of(text.encode())] = (text, parsed["mediaType"])
        return digest_of(text.encode())


@pytest.fixture
def source() -> Iterator[Ecr]:
    """A registry whose layers are served over HTTP."""
    ecr = Ecr()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = ecr.layers[self.path[1:]]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    ecr.base_url = f"http://127.0.0.1:{server.server_port}"
    yield ecr
    server.shutdown()
    server.server_close()
    thread.join()


def copy(source: Ecr, target: Ecr, digest: str) -> int:
    return copy_image(Registry(source, "1", "staging"), Registry(target, "2", "prod"), digest)


def test_an_image_arrives_whole_and_its_manifest_last(source: Ecr) -> None:
    digest = source.add(b"config", b"a layer longer than one part", b"another")
    target = Ecr()
    assert copy(source, target, digest) == len(b"config" + b"a layer longer than one part" + b"another")
    assert target.manifests == source.manifests
    assert target.layers == source.layers
    assert target.calls == ["layer", "layer", "layer", "manifest"]


def test_what_is_there_is_not_copied_again(source: Ecr) -> None:
    first, second = source.add(b"config 1", b"base"), source.add(b"config 2", b"base")
    target = Ecr()
    copy(source, target, first)
    assert copy(source, target, second) == len(b"config 2")
    assert copy(source, target, second) == 0


def test_an_index_is_copied_with_every_image_it_names(source: Ecr) -> None:
    parts = [source.add(b"config", b"amd64"), source.add(b"attestation config", b"attestation")]
    index = source.add_manifest({"mediaType": INDEX_TYPES[0], "manifests": [{"digest": d} for d in parts]})
    target = Ecr()
    copy(source, target, index)
    assert set(target.manifests) == {index, *parts}


def test_a_layer_with_other_bytes_than_its_digest_names_goes_no_further(source: Ecr) -> None:
    digest = source.add(b"config", b"layer")
    source.layers[digest_of(b"layer")] = b"forged"
    target = Ecr()
    with pytest.raises(ImageCopyError, match="arrived as"):
        copy(source, target, digest)
    assert target.manifests == {}


def test_a_manifest_with_other_bytes_than_its_digest_names_is_refused(source: Ecr) -> None:
    digest = source.add(b"config", b"layer")
    source.manifests[digest] = source.manifests[source.add(b"config", b"forged")]
    with pytest.raises(ImageCopyError, match=f"gave another manifest than {digest}"):
        copy(source, Ecr(), digest)


def test_an_image_that_is_not_there_is_named(source: Ecr) -> None:
    with pytest.raises(ImageCopyError, match="staging has no image sha256:00"):
        copy(source, Ecr(), "sha256:00")


def test_a_repositorys_address_names_its_account_region_and_name() -> None:
    asked: list[tuple[str, str]] = []

    class Session:
        def client(self, service: str, region_name: str) -> str:
            asked.append((service, region_name))
            return "client"

    registry = registry_of(Session(), "210987654321.dkr.ecr.us-west-2.amazonaws.com/registry-9")  # type: ignore[arg-type]
    assert (registry.account_id, registry.repository) == ("210987654321", "registry-9")
    assert asked == [("ecr", "us-west-2")]
