"""Which models a project may use: what the Administration API calls its model permissions."""

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.models.alias import ModelName
from app.models.names import folded

MAX_MODEL_IDS = 1000


class ModelPermissions(BaseModel):
    """mode and model_ids are those of OpenAI's Administration API.

    A name stands for itself alone, however it is spelled: a dated version of a model is another.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    mode: Literal["allow_list", "deny_list"] = Field(description="allow_list or deny_list")
    model_ids: Annotated[
        tuple[ModelName, ...],
        Field(max_length=MAX_MODEL_IDS, description=f"a list of up to {MAX_MODEL_IDS} models"),
    ]

    @cached_property
    def _listed(self) -> frozenset[str]:
        return frozenset(folded(name) for name in self.model_ids)

    def permit(self, model: str) -> bool:
        return (folded(model) in self._listed) == (self.mode == "allow_list")

    def of(self, models: Iterable[str]) -> tuple[str, ...]:
        """Those that are permitted."""
        return tuple(model for model in models if self.permit(model))
