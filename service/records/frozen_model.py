"""The base of values that are never changed, and of which there may be hundreds of thousands."""

from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """An immutable value that rejects unknown fields."""

    # Responses contain every field, and their schema says so.
    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_serialization_defaults_required=True
    )

    def model_post_init(self, _: Any) -> None:
        """Share the set of the fields that were given with other values.

        Pydantic makes a set for each. Of 100,000 videos and their metadata they took 300 MB.
        """
        given = self.__pydantic_fields_set__
        every = _every_field(type(self))
        shared = every if len(given) == len(every) else _shared_set(frozenset(given))
        object.__setattr__(self, "__pydantic_fields_set__", shared)


@lru_cache(maxsize=128)
def _every_field(model: type[FrozenModel]) -> set[str]:
    return set(model.model_fields)


@lru_cache(maxsize=1024)
def _shared_set(fields: frozenset[str]) -> set[str]:
    return set(fields)
