"""Listeners and their rules as Envoy listeners, with the headers and error codes of an ALB."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.balancer.deployed import Listener
from local.balancer.routes import route
from local.certificates import ServerCertificate
from local.envoy import server_tls, socket_address, typed

TRACE_ID_SCRIPT = """
local function root()
  local digits = {}
  for i = 1, 24 do digits[i] = string.format("%x", math.random(0, 15)) end
  return string.format("Root=1-%08x-%s", os.time(), table.concat(digits))
end
function envoy_on_request(handle)
  local headers = handle:headers()
  local given = headers:get("x-amzn-trace-id")
  if given == nil then
    headers:add("x-amzn-trace-id", root())
  elseif string.find(given, "Root=", 1, true) then
    headers:replace("x-amzn-trace-id", (string.gsub(root(), "Root", "Self", 1)) .. ";" .. given)
  else
    headers:replace("x-amzn-trace-id", root() .. ";" .. given)
  end
end
"""
"""An ALB gives every request a Root, and adds Self to one that has it (user guide, request tracing)."""

BAD_GATEWAY_FLAGS = ["UF", "UC", "UR", "UPE", "LR"]
"""Envoy's flags for a target that refused or broke the connection: 503 to Envoy, 502 to an ALB."""


def listener(
    deployed: Listener,
    ports: Mapping[int, int],
    idle_timeout_s: int,
    cluster_names: Mapping[str, str],
    certificate: ServerCertificate,
    access_log: Path,
) -> dict[str, Any]:
    """ports: deployed port -> local port; cluster_names: target group ARN -> Envoy cluster."""
    port = ports[deployed.port]
    routes = [route(rule, ports, cluster_names) for rule in deployed.rules]
    chain: dict[str, Any] = {"filters": [_http(deployed, port, routes, idle_timeout_s, access_log)]}
    if deployed.protocol == "HTTPS":
        chain["transport_socket"] = server_tls(certificate.chain, certificate.key, ["h2", "http/1.1"])
    return {
        "name": f"listener-{deployed.port}",
        "address": socket_address(port),
        "enable_reuse_port": False,
        "filter_chains": [chain],
    }


def _http(
    deployed: Listener, port: int, routes: list[dict[str, Any]], idle_timeout_s: int, access_log: Path
) -> dict[str, Any]:
    forwarded_port = {"header": {"key": "x-forwarded-port", "value": str(port)}}
    return typed(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        {
            "stat_prefix": f"listener-{deployed.port}",
            "codec_type": "AUTO",
            # Appends the client's address to x-forwarded-for and tells the protocol it came by.
            "use_remote_address": True,
            "generate_request_id": False,
            "preserve_external_request_id": True,
            "server_header_transformation": "PASS_THROUGH",
            "stream_idle_timeout": f"{idle_timeout_s}s",
            "common_http_protocol_options": {"idle_timeout": f"{idle_timeout_s}s"},
            "request_timeout": "0s",
            "drain_timeout": "1s",
            "local_reply_config": {"mappers": [_bad_gateway()]},
            "access_log": [_access_log(access_log)],
            "http_filters": [_trace_id(), _router()],
            "route_config": {
                "name": f"listener-{deployed.port}",
                "request_headers_to_remove": ["x-envoy-external-address", "x-envoy-internal"],
                "request_headers_to_add": [{**forwarded_port, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
            },
        },
    )


def _bad_gateway() -> dict[str, Any]:
    filters = {"response_flag_filter": {"flags": BAD_GATEWAY_FLAGS}}
    return {"filter": filters, "status_code": 502}


def _trace_id() -> dict[str, Any]:
    code = {"default_source_code": {"inline_string": TRACE_ID_SCRIPT}}
    return typed("envoy.filters.http.lua", "extensions.filters.http.lua.v3.Lua", code)


def _router() -> dict[str, Any]:
    options = {"suppress_envoy_headers": True}
    return typed("envoy.filters.http.router", "extensions.filters.http.router.v3.Router", options)


def _access_log(path: Path) -> dict[str, Any]:
    fields = {
        "time": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:PATH)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "target": "%UPSTREAM_HOST%",
        "duration_ms": "%DURATION%",
        "trace_id": "%REQ(X-AMZN-TRACE-ID)%",
    }
    return typed(
        "envoy.access_loggers.file",
        "extensions.access_loggers.file.v3.FileAccessLog",
        {"path": str(path), "log_format": {"json_format": fields}},
    )
