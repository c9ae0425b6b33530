"""Tells whoever operates the stack, through SNS, who is let in. Never with anything that opens something."""

import asyncio

from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError

from app.aws import Sns
from app.telemetry import log_event

PUBLISH_WITHIN_S = 3.0
MAX_SUBJECT_CHARACTERS = 100
"""Of ASCII; SNS takes no other subjects."""


class Notices:
    """A topic. What it does not take is logged as missing and fails nothing: the change is made already."""

    def __init__(self, sns: Sns, topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn

    async def tell(self, subject: str, text: str) -> None:
        short = subject.encode("ascii", "replace").decode()[:MAX_SUBJECT_CHARACTERS]
        try:
            async with asyncio.timeout(PUBLISH_WITHIN_S):
                await self._sns.publish(TopicArn=self._topic_arn, Subject=short, Message=text)
        except (ClientError, BotoCoreError, HttpError, OSError, TimeoutError) as failed:
            log_event("notice_not_sent", level="error", reason=type(failed).__name__)
