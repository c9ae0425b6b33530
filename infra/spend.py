"""What the stack may cost a month on AWS, and who is told when it does or soon will.

OpenAI's bill is not AWS's: the gateway itself bounds that, by project and key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

ACTUAL_PERCENT = (80, 100)
FORECAST_PERCENT = 100


@dataclass(frozen=True)
class SpendArgs:
    """monthly_budget_usd: whole dollars. owner: an e-mail address that AWS tells directly, for a topic's
    subscription has to be confirmed first. alert_topic_arn: its policy must let AWS Budgets publish,
    which is looked at when the budget is made: after it."""

    project: str
    stack: str
    monthly_budget_usd: int
    owner: str
    alert_topic_arn: pulumi.Input[str]
    after: Sequence[pulumi.Resource]


class Spend(pulumi.ComponentResource):
    """A monthly budget over what carries the stack's tags.

    AWS counts by a tag only once it is a cost allocation tag: `python -m infra.cost_tags` activates them.
    """

    def __init__(self, name: str, args: SpendArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Spend", name, None, opts)
        thresholds = [("ACTUAL", percent) for percent in ACTUAL_PERCENT] + [("FORECASTED", FORECAST_PERCENT)]
        aws.budgets.Budget(
            name,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(args.monthly_budget_usd),
            limit_unit="USD",
            metrics="UnblendedCost",
            filter_expression={
                "ands": [
                    {"tags": {"key": "project", "values": [args.project]}},
                    {"tags": {"key": "stack", "values": [args.stack]}},
                ]
            },
            notifications=[
                {
                    "notification_type": kind,
                    "comparison_operator": "GREATER_THAN",
                    "threshold": percent,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_email_addresses": [args.owner],
                    "subscriber_sns_topic_arns": [args.alert_topic_arn],
                }
                for kind, percent in thresholds
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.after),
        )
        self.register_outputs({})
