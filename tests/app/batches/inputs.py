"""Input files of batches, and what they may cost."""

import json
from collections.abc import Iterable
from typing import Any, Literal

import openai
from openai.types import Batch

from app.prices import for_batches
from app.usage import Usage
from tests.app.accounts import MODEL, PRICES

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
MAX_TOKENS = 20


def line(number: int, **changed: Any) -> dict[str, Any]:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"question {number:04}"}],
        "max_tokens": MAX_TOKENS,
    }
    return {"custom_id": f"request-{number}", "method": "POST", "url": ENDPOINT, "body": body, **changed}


def jsonl(lines: Iterable[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(one).encode() for one in lines)


def requests(count: int) -> bytes:
    return jsonl(line(number) for number in range(count))


def begun(client: openai.OpenAI, content: bytes, **given: Any) -> Batch:
    file = client.files.create(file=("input.jsonl", content), purpose="batch")
    return made(client, file.id, **given)


def made(client: openai.OpenAI, file_id: str, **given: Any) -> Batch:
    return client.batches.create(input_file_id=file_id, endpoint=ENDPOINT, completion_window="24h", **given)


def price_of(output: bytes) -> int:
    """Micro-dollars for what the lines of an output file say they used."""
    price = PRICES.price(MODEL)
    assert price is not None
    total = 0
    for written in output.splitlines():
        usage = json.loads(written)["response"]["body"]["usage"]
        used = Usage(usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"])
        total += for_batches(price).cost(used)
    return total
