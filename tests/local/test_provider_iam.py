"""An identity provider on local AWS is what an API caller finds."""

from local.aws.client import ACCOUNT_ID, LocalAws
from local.provider.registry import ResourceRequest, resource_handler

KIND = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"


def test_an_identity_provider_keeps_its_audience_and_its_tags(aws: LocalAws, unique: str) -> None:
    inputs = {"url": f"https://{unique}.example.com", "clientIdLists": ["sts.amazonaws.com"]}
    created = resource_handler(KIND)(ResourceRequest(aws, KIND, "github", inputs, {"stack": "test"}))
    assert created.id == f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/{unique}.example.com"
    found = aws.call("iam", "get_open_id_connect_provider", OpenIDConnectProviderArn=created.id)
    assert found["ClientIDList"] == ["sts.amazonaws.com"]
    assert found["Tags"] == [{"Key": "stack", "Value": "test"}]
