"""The provider plugin that a real Pulumi engine starts for `aws` and `docker-build`, on local AWS.

The engine speaks Pulumi's provider protocol (gRPC; the plugin prints its port) and gets what
`local/provider` creates. A changed resource is replaced, since the handlers only create; a deleted one is
forgotten where AWS would keep nothing of it, since local AWS is thrown away as a whole. What it shows is the
engine's side: config, order, previews, hooks, state.
"""

import os
import sys
from collections.abc import Mapping
from concurrent import futures
from importlib import metadata
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from local.aws.client import LocalAws
from local.provider.mocks import plain, tags_of
from local.provider.registry import (
    InvokeRequest,
    RemovalRequest,
    ResourceRequest,
    invoke_handler,
    remove,
    resource_handler,
)

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """One configured provider. version: what the engine is told; it wants at least the SDK's."""

    def __init__(self, aws: LocalAws, version: str) -> None:
        self._aws = aws
        self._version = version
        self._default_tags: dict[str, str] = {}

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        default_tags = _plain(request.args).get("defaultTags")
        # A provider's own nested settings come as JSON.
        if isinstance(default_tags, str):
            default_tags = json_format.Parse(default_tags, struct_pb2.Struct())
            default_tags = _plain(default_tags)
        self._default_tags = (default_tags or {}).get("tags") or {}
        return provider_pb2.ConfigureResponse(acceptSecrets=False, acceptResources=False)

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        returned = invoke_handler(request.tok)(InvokeRequest(self._aws, _plain(request.args)))
        response = provider_pb2.InvokeResponse()
        # The field's name is a word that Python keeps for itself.
        getattr(response, "return").CopyFrom(_struct(returned))
        return response

    def Check(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        old, new = _plain(request.old_inputs), _plain(request.news)
        changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        kind = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=kind, diffs=changed, replaces=changed)

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.preview:
            return provider_pb2.CreateResponse(properties=request.properties)
        inputs = _plain(request.properties)
        tags = {**self._default_tags, **tags_of(inputs)}
        try:
            created = resource_handler(request.type)(
                ResourceRequest(self._aws, request.type, request.name, inputs, tags)
            )
        except Exception as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"{request.type} {request.name}: {error}")
        outputs = inputs | {key: value for key, value in created.outputs.items() if value is not None}
        properties = _struct(outputs | {"tagsAll": tags})
        return provider_pb2.CreateResponse(id=created.id, properties=properties)

    def Read(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        try:
            remove(request.type, RemovalRequest(self._aws, request.id, _plain(request.old_inputs)))
        except Exception as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"{request.type} {request.id}: {error}")
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return empty_pb2.Empty()


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The engine's properties with secrets unwrapped and whole numbers as integers."""
    properties: dict[str, Any] = plain(rpc.deserialize_properties(struct, keep_unknowns=True))
    return properties


def _struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


def main(sdk: str) -> None:
    """Serves the resources of the SDK package `sdk` until the engine that started it goes away."""
    aws = LocalAws(os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"])
    server = grpc.server(futures.ThreadPoolExecutor(16), options=UNLIMITED)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Plugin(aws, metadata.version(sdk)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    # The engine holds the plugin's standard input open as long as it lives.
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    main(sys.argv[1])
