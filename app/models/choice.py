"""From the model that a request names to those that may answer it, in the order in which they are asked."""

from collections.abc import Mapping, Sequence
from math import inf

from app import errors
from app.admission.charge import bounds
from app.endpoints import ApiRequest
from app.endpoints.endpoint import Chain
from app.identity import Caller
from app.models.alias import Alias, Order
from app.models.latency import kind_of
from app.prices import Prices, tier_of
from app.upstream.standings import Standings


class Models:
    """aliases: the stack's own; a project's come before them."""

    def __init__(self, aliases: Mapping[str, Alias], prices: Prices, standings: Standings) -> None:
        self._aliases = aliases
        self._prices = prices
        self._standings = standings

    def choose(self, request: ApiRequest, caller: Caller) -> ApiRequest:
        """The request to the model that is asked first, with the others that may answer.

        Limits, price and cache key are that model's. Raises ApiError (403) when the project may use none.
        """
        alias = self._alias(request.model, caller)
        permissions = caller.settings.model_permissions
        if alias is None:
            if permissions is not None and not permissions.permit(request.model):
                raise errors.model_not_permitted(request.model, caller.project_id)
            return request
        models = alias.models if permissions is None else permissions.of(alias.models)
        if not models:
            raise errors.model_not_permitted(request.model, caller.project_id)
        if len(models) > 1:
            models = self._bounded(models, request, caller)
            takes_all = request.endpoint.takes_fallbacks
            models = self._in_order(alias.order, models, request) if takes_all else models[:1]
        chain = Chain(request.model, models, alias.first_byte_within_s, answering=models[0])
        return request.answered_by(chain)

    def check(self, model: str, caller: Caller) -> None:
        """Raises ApiError (403) when the project may not use what this name stands for."""
        alias = self._alias(model, caller)
        permissions = caller.settings.model_permissions
        if permissions is not None and not permissions.of(alias.models if alias is not None else (model,)):
            raise errors.model_not_permitted(model, caller.project_id)

    def aliases(self, caller: Caller) -> tuple[str, ...]:
        """The names that are no models of their own and stand for one which the project may use."""
        permissions = caller.settings.model_permissions
        named = {**self._aliases, **caller.settings.model_aliases}
        return tuple(
            name
            for name, alias in named.items()
            if name not in alias.models and (permissions is None or permissions.of(alias.models))
        )

    def _alias(self, model: str, caller: Caller) -> Alias | None:
        return caller.settings.model_aliases.get(model) or self._aliases.get(model)

    def _bounded(self, models: tuple[str, ...], request: ApiRequest, caller: Caller) -> tuple[str, ...]:
        """Under a budget only those that have a price, and no fee beside it: others cannot be held to it."""
        if not caller.plan().has_budget:
            return models
        tier = tier_of(request)
        bounded = (
            model
            for model in models
            if self._prices.price(model, tier)
            and request.endpoint.unbounded_param_of({**request.fields, "model": model}) is None
        )
        return tuple(bounded) or models[:1]

    def _in_order(self, order: Order, models: Sequence[str], request: ApiRequest) -> tuple[str, ...]:
        warm, cooling = self._standings.warm_and_cooling(models)
        if order == "cheapest":
            warm.sort(key=lambda model: self._most_micro_usd(model, request))
        elif order == "fastest" and len(warm) > 1:
            kind = kind_of(request.endpoint.path, stream=request.stream)
            [first, *_] = self._standings.latencies.fastest(warm, kind)
            warm.sort(
                key=lambda model: (model != first, self._standings.latencies.seconds(model, kind) or inf)
            )
        ordered = (*warm, *cooling)
        self._standings.asked(ordered[0])
        return ordered

    def _most_micro_usd(self, model: str, request: ApiRequest) -> float:
        price = self._prices.price(model, tier_of(request))
        if price is None:
            return inf
        most = bounds(request, price)
        return price.bound(most.prompt_tokens, most.answer_tokens)
