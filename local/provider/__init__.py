"""The provider behind Pulumi's mock seam: creates each resource over boto3 on local AWS.

One module per AWS service; each resource type is one function from inputs to an id and outputs,
found by its type
token. A type or function that nobody handles is an error that names it.
"""

from local.provider import (
    acm,
    application_autoscaling,
    budgets,
    cloudwatch,
    docker_build,
    dynamodb,
    ec2_gateways,
    ec2_network,
    ec2_security,
    ecr,
    ecs,
    elastic_load_balancing,
    elasticache,
    eventbridge,
    iam,
    kms,
    route53,
    s3,
    s3_bucket_settings,
    secretsmanager,
    sns,
    sqs,
    wafv2,
)

SERVICES = (
    acm,
    application_autoscaling,
    budgets,
    cloudwatch,
    docker_build,
    dynamodb,
    ec2_gateways,
    ec2_network,
    ec2_security,
    ecr,
    ecs,
    elastic_load_balancing,
    elasticache,
    eventbridge,
    iam,
    kms,
    route53,
    s3,
    s3_bucket_settings,
    secretsmanager,
    sns,
    sqs,
    wafv2,
)
"""The modules whose handlers are registered; a new service is added here."""
