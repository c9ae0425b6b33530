"""What a gateway container is told: the names and values that `app/settings.py` reads, exactly those."""

from collections.abc import Mapping

import pulumi

from infra.config import StackConfig
from infra.container import CONTAINER_PORT


def plain_environment(
    config: StackConfig,
    *,
    table_name: pulumi.Input[str],
    bucket_name: pulumi.Input[str],
    cache_url: pulumi.Input[str],
    cache_secret_arn: pulumi.Input[str],
    openai_secret_arn: pulumi.Input[str],
    alert_topic_arn: pulumi.Input[str],
    knowledge_queue_url: pulumi.Input[str],
) -> Mapping[str, pulumi.Input[str]]:
    """Names, addresses and numbers: all who may describe the task read them, so no secret is here."""
    return {
        "GATEWAY_REGION": config.region,
        "GATEWAY_SERVICE": config.name_prefix,
        "GATEWAY_HOST": "0.0.0.0",  # noqa: S104  the task's own address; its security group decides who comes in
        "GATEWAY_PORT": str(CONTAINER_PORT),
        "GATEWAY_TABLE_NAME": table_name,
        "GATEWAY_BUCKET_NAME": bucket_name,
        "GATEWAY_CACHE_URL": cache_url,
        "GATEWAY_CACHE_SECRET_ARN": cache_secret_arn,
        "GATEWAY_OPENAI_SECRET_ARN": openai_secret_arn,
        "GATEWAY_ALERT_TOPIC_ARN": alert_topic_arn,
        "GATEWAY_KNOWLEDGE_QUEUE_URL": knowledge_queue_url,
        "GATEWAY_OPENAI_BASE_URL": config.openai_base_url,
        "GATEWAY_REQUESTS_PER_MINUTE": str(config.requests_per_minute),
        "GATEWAY_DEPLOYMENT_ROUTING": config.deployment_routing,
        "GATEWAY_MODEL_ALIASES": config.model_aliases,
        "GATEWAY_MODEL_PRICES": config.model_prices,
        "GATEWAY_RESPONSE_CACHE_TTL_S": str(config.response_cache_ttl_s),
        "GATEWAY_BATCH_PROMPTS": str(config.batch_prompts),
        "GATEWAY_LONGEST_STREAM_S": str(config.longest_stream_s),
        "GATEWAY_KEEP_ALIVE_S": str(config.streaming.keep_alive_s),
        "GATEWAY_STOP_TIMEOUT_S": str(config.streaming.stop_timeout_s),
        "GATEWAY_PING_INTERVAL_S": str(config.streaming.ping_interval_s),
    }


def secret_environment(*, pepper_secret_arn: pulumi.Input[str]) -> Mapping[str, pulumi.Input[str]]:
    """What ECS puts into the container from Secrets Manager; only what never changes while a task lives."""
    return {"GATEWAY_KEY_PEPPER": pepper_secret_arn}
