"""The calls about models: which there are, and one of them; names that stand for others among them."""

from urllib.parse import quote

from app import gateway
from app.exchange import Exchange
from app.gateway import Steps
from app.models.listing import described, listing


async def list_(exchange: Exchange, steps: Steps) -> None:
    """GET /v1/models. Raises ApiError, ClientGoneError."""
    caller = await gateway.identify(exchange, steps)
    await exchange.read_body(0)
    with exchange.while_client_stays():
        answer = await gateway.free(exchange, steps, caller, "/models")
        aliases, permissions = steps.models.aliases(caller), caller.settings.model_permissions
        if answer.status == 200 and (aliases or permissions is not None):
            await exchange.answer_json(200, listing(answer.value, aliases, permissions))
        else:
            await gateway.pass_on(exchange, answer)


async def retrieve(exchange: Exchange, steps: Steps, model: str) -> None:
    """GET /v1/models/{model}. Raises ApiError, ClientGoneError."""
    exchange.record.model = model[:256]
    caller = await gateway.identify(exchange, steps)
    await exchange.read_body(0)
    with exchange.while_client_stays():
        steps.models.check(model, caller)
        if model in steps.models.aliases(caller):
            await exchange.answer_json(200, described(model))
        else:
            path = "/models/" + quote(model, safe=":")
            await gateway.pass_on(exchange, await gateway.free(exchange, steps, caller, path))
