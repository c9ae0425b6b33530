"""The secrets that rotate while the gateway runs: the OpenAI key and the cache's user.

Read with the task role and again every REFRESH_S; when Secrets Manager does not answer, the last good value
stays. A secret without a value is asked for more often, so that a first deployment serves soon after it was
seeded.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError

from app.aws import SecretsManager
from app.secret_values import BadSecretError, CacheUser, Deployment, parse_cache_user, parse_deployments
from app.telemetry import log_event

REFRESH_S = 30.0
MISSING_REFRESH_S = 2.0
ANSWER_WITHIN_S = 3.0
LEAST_BETWEEN_S = 1.0

T = TypeVar("T")


class RotatingSecret(Generic[T]):
    """One secret's last good value. `trouble`: why it could not be read the last time, None when it could."""

    def __init__(self, name: str, client: SecretsManager, arn: str, parse: Callable[[str], T]) -> None:
        self._name = name
        self._client = client
        self._arn = arn
        self._parse = parse
        self._reading: asyncio.Task[None] | None = None
        self._read_at = 0.0
        self.value: T | None = None
        self.trouble: str | None = "not read yet"

    async def refresh(self) -> None:
        """Reads the secret, together with whoever else asks now, and at most every LEAST_BETWEEN_S."""
        if self._reading is None:
            if self._read_at and time.monotonic() - self._read_at < LEAST_BETWEEN_S:
                return
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def read_former(self) -> T | None:
        """The value before the last rotation; None when there was none or it cannot be read now."""
        try:
            return await self._fetch("AWSPREVIOUS")
        except (ClientError, BotoCoreError, HttpError, OSError, TimeoutError, BadSecretError):
            return None

    async def _fetch(self, stage: str) -> T:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer = await self._client.get_secret_value(SecretId=self._arn, VersionStage=stage)
        return self._parse(answer.get("SecretString") or "")

    async def _read(self) -> None:
        try:
            value = await self._fetch("AWSCURRENT")
        except ClientError as refused:
            code = refused.response["Error"]["Code"]
            self._in_trouble("it has no value yet" if code == "ResourceNotFoundException" else code)
        except (BotoCoreError, HttpError, OSError, TimeoutError) as gone:
            self._in_trouble(type(gone).__name__)
        except BadSecretError as bad:
            self._in_trouble(str(bad))
        else:
            # An equal value stays the same object: who uses it sees by that whether it was rotated.
            if value != self.value:
                log_event("secret_read", secret=self._name, rotated=self.value is not None)
                self.value = value
            self.trouble = None
        finally:
            self._read_at = time.monotonic()
            self._reading = None

    def _in_trouble(self, trouble: str) -> None:
        if trouble != self.trouble:
            log_event("secret_unavailable", level="warning", secret=self._name, reason=trouble)
        self.trouble = trouble


class Vault:
    """The rotating secrets, kept fresh in the background between `open` and `close`."""

    def __init__(self, client: SecretsManager, *, openai_arn: str, cache_arn: str) -> None:
        self.openai_key: RotatingSecret[tuple[Deployment, ...]] = RotatingSecret(
            "openai", client, openai_arn, parse_deployments
        )
        self.cache_user: RotatingSecret[CacheUser] = RotatingSecret(
            "cache", client, cache_arn, parse_cache_user
        )
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Reads both once and starts to refresh them; a secret that cannot be read does not stop it."""
        await self._refresh()
        self._keeper = asyncio.create_task(self._keep_fresh())

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def cache_credentials(self, refused: bool) -> tuple[str, str] | None:
        """User name and password for the cache; `refused`: those given before are not accepted any more."""
        if refused or self.cache_user.value is None:
            await self.cache_user.refresh()
        user = self.cache_user.value
        return None if user is None else (user.username, user.password)

    async def _refresh(self) -> None:
        await asyncio.gather(self.openai_key.refresh(), self.cache_user.refresh())

    async def _keep_fresh(self) -> None:
        while True:
            missing = self.openai_key.value is None or self.cache_user.value is None
            # Replicas that started together spread their reads.
            pause_s = (MISSING_REFRESH_S if missing else REFRESH_S) * random.uniform(0.8, 1.0)  # noqa: S311
            await asyncio.sleep(pause_s)
            await self._refresh()
