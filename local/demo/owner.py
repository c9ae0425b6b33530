"""What an owner does in the demo, by OpenAI's own administration client."""

import time
from collections.abc import Iterator
from typing import Any

import openai

from local.demo.stage import DemoFailedError, Stage, expect, since_ms

DEAR_MODEL = "gpt-4"
CENTS = 1
RAISED_CENTS = 100
MOST_REQUESTS = 50
IN_FORCE_WITHIN_MS = 10_000
RECORDED_WITHIN_S = 20
LIMIT: dict[str, Any] = {"currency": "USD", "interval": "month"}


def budget(stage: Stage) -> Iterator[str]:
    """An owner gives a new project a cent a month, and then a dollar"""
    organization = stage.owner.admin.organization
    project = organization.projects.create(name="A cent a month")
    organization.projects.spend_limit.update(project.id, threshold_amount=CENTS, **LIMIT)
    account = organization.projects.service_accounts.create(project.id, name="demo")
    if account.api_key is None:
        raise DemoFailedError("the new service account has no key")
    spender = stage.client.with_options(api_key=account.api_key.value, max_retries=0)
    yield f"made       {project.id} and a key of its service account, shown this one time"
    answered, refusal = _spend(spender)
    expect(refusal.code == "project_spend_limit_exceeded", f"the code is {refusal.code}")
    yield f"answered   {answered} requests to {DEAR_MODEL}, until the next could have passed {CENTS} cent"
    yield f"refused    {refusal.status_code} {refusal.code}"
    organization.projects.spend_limit.update(project.id, threshold_amount=RAISED_CENTS, **LIMIT)
    started = time.perf_counter()
    while not _is_answered(spender):
        expect(since_ms(started) < IN_FORCE_WITHIN_MS, "the raised limit does not let a request through")
    yield f"raised     to a dollar; open again {since_ms(started):.0f} ms later"
    spent = _costs(organization, project.id, answered + 1)
    yield f"costs      {spent:.6f} USD for {answered + 1} requests, by the organization's usage and costs"
    expect(spent <= RAISED_CENTS / 100, "more was spent than the limit allows")
    organization.projects.archive(project.id)
    events = [entry.type for entry in organization.audit_logs.list(project_ids=[project.id])]
    yield f"audit log  {len(events)} entries, from {events[-1]} to {events[0]}"


def _spend(spender: openai.OpenAI) -> tuple[int, openai.RateLimitError]:
    """Asks until the budget stops it: how often it was answered, and the refusal."""
    for answered in range(MOST_REQUESTS):
        try:
            _ask(spender)
        except openai.RateLimitError as refusal:
            return answered, refusal
    raise DemoFailedError(f"{MOST_REQUESTS} requests were answered, and no budget stopped them")


def _is_answered(spender: openai.OpenAI) -> bool:
    try:
        _ask(spender)
    except openai.RateLimitError:
        time.sleep(0.05)
        return False
    return True


def _ask(spender: openai.OpenAI) -> None:
    spender.chat.completions.create(
        model=DEAR_MODEL, messages=[{"role": "user", "content": "Think big."}], max_tokens=20
    )


def _costs(organization: Any, project_id: str, requests: int) -> float:
    """US dollars that the project has spent, once so many requests are in the ledger."""
    query = {"start_time": int(time.time()) - 86_400, "project_ids": [project_id], "limit": 2}
    deadline = time.monotonic() + RECORDED_WITHIN_S
    while time.monotonic() < deadline:
        usage = organization.usage.completions(**query)
        found = sum(one.num_model_requests for bucket in usage.data for one in bucket.results)
        if found == requests:
            costs = organization.usage.costs(**query)
            return sum(float(one.amount.value) for bucket in costs.data for one in bucket.results)
        time.sleep(0.1)
    raise DemoFailedError(f"usage tells of {found} requests, not of {requests}")
