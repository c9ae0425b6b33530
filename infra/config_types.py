"""The domain types of a stack's config: text in, a checked value out, a remedy with every refusal.

Each refusal is a `PydanticCustomError` whose context holds `remedy`, a value that would be accepted;
`infra.config_problems` turns it into the `pulumi config set` command that mends the problem.
"""

import json
import re
from difflib import get_close_matches
from ipaddress import IPv4Network
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from app.models.alias import AliasesError, parse_aliases
from app.prices import PricesError, parse_prices
from infra.schedule import EXAMPLE, Floor, ScheduleError, parse_floors

SUBNETS_EXAMPLE = "subnet-0123456789abcdef0,subnet-0123456789abcdef1"

Region = Literal["us-east-1", "us-east-2", "us-west-1", "us-west-2"]
Environment = Literal["staging", "production"]
GithubProvider = Literal["create", "existing"]
NatGateways = Literal["none", "one", "per-zone"]
NetworkMode = Literal["own", "existing"]
DeploymentRouting = Literal["weight", "fastest"]

# Fargate's task sizes: CPU units -> memory in MiB (AWS, "Task CPU and memory", Fargate task definition
# differences). The gateway is not memory bound, so the table ends at 16 vCPU as AWS's does.
FARGATE_MEMORY_MIB: dict[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}

# CloudWatch Logs accepts only these (API reference, PutRetentionPolicy).
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096),
    *(1827, 2192, 2557, 2922, 3288, 3653),
)


def refuse(reason: str, remedy: str) -> PydanticCustomError:
    """The error of a refused value: the reason as a clause, and a value that would be accepted."""
    # Pydantic formats the template, so braces in a reason would be read as placeholders.
    return PydanticCustomError("config", "{reason}", {"reason": reason, "remedy": remedy})


def nearest(value: int, choices: tuple[int, ...]) -> int:
    """The choice closest to `value`; of two equally close the larger."""
    return min(choices, key=lambda choice: (abs(choice - value), -choice))


def listed(choices: tuple[object, ...]) -> str:
    """`a, b or c`."""
    *head, last = (str(choice) for choice in choices)
    return f"{', '.join(head)} or {last}" if head else last


def _integer(text: object) -> object:
    """Pulumi hands every value over as text; only plain decimal digits are a whole number."""
    if isinstance(text, str) and not re.fullmatch(r"-?[0-9]{1,12}", text):
        raise PydanticCustomError("config_integer", "must be a whole number, in digits", {})
    return text


def _boolean(text: object) -> object:
    if isinstance(text, str) and text not in ("true", "false"):
        raise refuse(
            "must be true or false", "true" if text.lower() in ("1", "yes", "on", "true") else "false"
        )
    return text


def _unset(text: object) -> object:
    """`Pulumi.yaml` gives every key a default; the empty text is the default of one that is optional."""
    return None if text == "" else text


def _one_of(*choices: str) -> BeforeValidator:
    def check(text: object) -> object:
        if text not in choices:
            close = get_close_matches(str(text).lower(), choices, 1, cutoff=0.3)
            raise refuse(f"must be {listed(choices)}", close[0] if close else choices[0])
        return text

    return BeforeValidator(check)


def _matching(pattern: str, reason: str, example: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise refuse(reason, example)
        return text

    return AfterValidator(check)


def _vpc_cidr(text: object) -> object:
    if isinstance(text, IPv4Network):
        return text
    example = "10.20.0.0/16"
    try:
        network = IPv4Network(str(text))
    except ValueError:
        try:
            aligned = str(IPv4Network(str(text), strict=False))
        except ValueError:
            raise refuse("must be an IPv4 network such as 10.20.0.0/16", example) from None
        raise refuse("has bits set after its prefix", aligned) from None
    if not 16 <= network.prefixlen <= 20:
        # AWS allows a VPC of /16 to /28; nine subnets of at least 128 addresses need a /20.
        raise refuse("must be a /16 to /20, so that nine subnets fit", f"{network.network_address}/16")
    private = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16"))
    if not any(network.subnet_of(block) for block in private):
        raise refuse("must lie in a private range (RFC 1918)", example)
    return network


def _openai_base_url(text: str) -> str:
    example = "https://api.openai.com/v1"
    try:
        url = urlsplit(text)
        port_is_valid = url.port is None or url.port > 0
    except ValueError:
        raise refuse("is not a URL", example) from None
    if not (url.scheme in ("http", "https") and url.hostname and port_is_valid) or re.search(r"[^!-~]", text):
        raise refuse("must be a URL such as https://api.openai.com/v1", example)
    if url.username or url.password or url.query or url.fragment:
        raise refuse("must hold no credentials, query or fragment; keys belong in Secrets Manager", example)
    if url.scheme == "http" and url.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise refuse("must be https: prompts and keys would travel in clear", "https" + text[4:])
    return text.rstrip("/")


def _log_retention_days(days: int) -> int:
    if days not in LOG_RETENTION_DAYS:
        choices = listed(LOG_RETENTION_DAYS)
        raise refuse(
            f"is no retention CloudWatch Logs offers ({choices})", str(nearest(days, LOG_RETENTION_DAYS))
        )
    return days


def _task_cpu(units: int) -> int:
    sizes = tuple(FARGATE_MEMORY_MIB)
    if units not in sizes:
        raise refuse(f"is no Fargate CPU size ({listed(sizes)})", str(nearest(units, sizes)))
    return units


def _cache_node_type(name: str) -> str:
    if re.fullmatch(r"cache\.[a-z0-9]+gd\.[a-z0-9]+", name):
        # ElastiCache user guide, "Data tiering": these want it turned on, which would put answers on disks.
        raise refuse("keeps data on disks, which this stack does not turn on", name.replace("gd.", "g."))
    if not re.fullmatch(_NODE_TYPE, name):
        raise refuse(
            "must be an ElastiCache node type of a current generation, cache.t4g.micro to medium or such as "
            "cache.m7g.large",
            "cache.t4g.micro",
        )
    return name


def _recovery_days(days: int) -> int:
    if days != 0 and not 7 <= days <= 30:
        raise refuse(
            "must be 0 (delete at once) or 7 to 30 days", "0" if days < 4 else str(min(max(days, 7), 30))
        )
    return days


def _model_aliases(value: str) -> str:
    try:
        parse_aliases(value)
    except AliasesError as wrong:
        raise refuse(str(wrong), '{"fast": "gpt-5-mini", "best": ["gpt-5", "gpt-4.1"]}') from None
    return json.dumps(json.loads(value), sort_keys=True, separators=(",", ":"))


def _model_prices(value: str) -> str:
    try:
        parse_prices(value)
    except PricesError as wrong:
        raise refuse(str(wrong), '{"my-model": {"input": "0.15", "output": "0.60"}}') from None
    # One spelling, so that no change of spacing is a change of the stack.
    return json.dumps(json.loads(value or "{}"), sort_keys=True, separators=(",", ":"))


def _subnet_ids(text: object) -> object:
    if not isinstance(text, str):
        return text
    ids = tuple(part.strip() for part in text.split(",")) if text.strip() else ()
    wrong = [part for part in ids if not re.fullmatch(r"subnet-([0-9a-f]{8}|[0-9a-f]{17})", part)]
    if wrong:
        raise refuse(f"{wrong[0]!r} is no subnet's id; give ids with commas between them", SUBNETS_EXAMPLE)
    if len(set(ids)) < len(ids):
        raise refuse("names a subnet twice", ",".join(dict.fromkeys(ids)))
    return ids


def _floors(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return parse_floors(text)
    except ScheduleError as error:
        raise refuse(str(error), EXAMPLE) from None


def _timezone(name: str) -> str:
    if name not in available_timezones():
        close = get_close_matches(name, available_timezones(), 1)
        raise refuse("is no time zone of the IANA database", close[0] if close else "America/New_York")
    return name


# ElastiCache user guide, "Supported node types": by letter and generation, so that new generations fit too.
_NODE_TYPE = (
    r"cache\.(t[2-9]g?\.(micro|small|medium)"
    r"|([mr][4-9]g?|c[7-9]gn)\.(large|xlarge|(2|4|8|10|12|16|24)xlarge))"
)

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"

Integer = Annotated[int, BeforeValidator(_integer)]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
UsRegion = Annotated[Region, _one_of(*get_args(Region))]
EnvironmentName = Annotated[Environment, _one_of(*get_args(Environment))]
GithubProviderMode = Annotated[GithubProvider, _one_of(*get_args(GithubProvider))]
NetworkChoice = Annotated[NetworkMode, _one_of(*get_args(NetworkMode))]
DeploymentRoutingChoice = Annotated[DeploymentRouting, _one_of(*get_args(DeploymentRouting))]
NatGatewayMode = Annotated[NatGateways, _one_of(*get_args(NatGateways))]
Email = Annotated[
    str,
    _matching(
        # Of what an address may hold, what AWS allows in a tag.
        r"[A-Za-z0-9._+-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}",
        "must be an e-mail address of letters, digits and . _ + - before the @",
        "platform@example.com",
    ),
]
TagValue = Annotated[
    str,
    _matching(
        # AWS keeps "aws:" to itself, in any case (Tagging AWS Resources user guide, "Naming limits").
        r"(?i:(?!aws:))[\w.:/=+@-][\w .:/=+@-]{0,254}",
        "must be 1 to 255 letters, digits, spaces and _ . : / = + - @, and not begin with aws:",
        "platform",
    ),
]
RepositoryName = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}", "must be OWNER/NAME", "example-org/openai-gateway"
    ),
]
Fqdn = Annotated[
    str,
    _matching(
        rf"(?=.{{4,253}}$)({_LABEL}\.)+[a-z]{{2,63}}",
        "must be a full domain name in lower case",
        "gateway.example.com",
    ),
]
OptionalFqdn = Annotated[Fqdn | None, BeforeValidator(_unset)]
OptionalDomainName = Annotated[
    Annotated[
        Fqdn,
        _matching(
            # ACM API reference, RequestCertificate: the first name is the common name of a certificate.
            r".{0,64}",
            "is longer than the 64 characters that ACM takes as a certificate's first name",
            "gateway.example.com",
        ),
    ]
    | None,
    BeforeValidator(_unset),
]
OptionalDigest = Annotated[
    Annotated[
        str,
        _matching(
            r"sha256:[0-9a-f]{64}",
            "must be an image digest (sha256: and 64 hex digits), never a tag",
            "sha256:" + "0" * 64,
        ),
    ]
    | None,
    BeforeValidator(_unset),
]
VpcCidr = Annotated[IPv4Network, BeforeValidator(_vpc_cidr)]
OpenAIBaseUrl = Annotated[str, AfterValidator(_openai_base_url)]
ModelAliases = Annotated[str, AfterValidator(_model_aliases)]
ModelPrices = Annotated[str, AfterValidator(_model_prices)]
OptionalVpcId = Annotated[
    Annotated[
        str, _matching(r"vpc-([0-9a-f]{8}|[0-9a-f]{17})", "must be a VPC's id", "vpc-0123456789abcdef0")
    ]
    | None,
    BeforeValidator(_unset),
]
SubnetIds = Annotated[tuple[str, ...], BeforeValidator(_subnet_ids)]
ScheduledFloors = Annotated[tuple[Floor, ...], BeforeValidator(_floors)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
LogRetentionDays = Annotated[Integer, AfterValidator(_log_retention_days)]
TaskCpu = Annotated[Integer, AfterValidator(_task_cpu)]
SecretRecoveryDays = Annotated[Integer, AfterValidator(_recovery_days)]
CacheNodeType = Annotated[str, AfterValidator(_cache_node_type)]
