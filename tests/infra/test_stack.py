"""The stack's outputs: what a person or a command needs next."""

from tests.infra.graph import StackGraph

OUTPUTS = {
    "base_url",
    "dashboard_url",
    "region",
    "load_balancer_dns_name",
    "cluster_name",
    "service_name",
    "repository_url",
    "table_name",
    "bucket_name",
    "knowledge_queue_url",
    "log_group_name",
    "cache_endpoint",
    "cache_user_id",
    "openai_secret_arn",
    "pepper_secret_arn",
    "owner_secret_arn",
    "cache_secret_arn",
    "alert_topic_arn",
    "reader_role_arn",
    "deployer_role_arn",
    "task_definition_arn",
}


def test_every_output_is_a_text_with_something_in_it(either: StackGraph) -> None:
    assert set(either.outputs) == OUTPUTS
    assert all(isinstance(value, str) and value for value in either.outputs.values())


def test_the_outputs_name_what_was_made(either: StackGraph) -> None:
    assert either.outputs["cluster_name"] == either.one("Cluster").get("name")
    assert either.outputs["service_name"] == either.one("Service").get("name")
    assert either.outputs["table_name"] == either.one("Table").get("name")
    assert either.outputs["bucket_name"] == either.one("Bucket", "data").get("bucket")
    assert either.outputs["cache_user_id"] == either.one("User", "cache-gateway").get("userId")
    group = either.one("ReplicationGroup")
    assert either.outputs["cache_endpoint"] == f"{group.get('primaryEndpointAddress')}:{group.get('port')}"


def test_data_sources_are_asked_through_the_stacks_own_provider(either: StackGraph) -> None:
    assert either.invokes
    for token, _, provider in either.invokes:
        assert "pulumi:providers:aws::aws" in provider, token
