"""The base of every typed setting, and settings that a registry provides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Union, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import core_schema

from polychromic.registry import Registry


class Settings(BaseModel):
    """Frozen. Refuses unknown keys, and infinity, NaN, yes and no as numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_value_for_a_number(cls, values: Any) -> Any:
        for key, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, bool) and key in cls.model_fields:
                annotation = cls.model_fields[key].annotation
                kinds = get_args(annotation) or (annotation,)
                if bool not in kinds and not {int, float}.isdisjoint(kinds):
                    raise ValueError(f"{key} is {str(value).lower()}, as YAML reads yes, no, on and off: give a number")
        return values


class OneOf:
    """As an annotation: the settings of one of a registry's choices, distinguished by the key `tag`.

    The union is made when a model's schema is: rebuild the model after plugins have registered theirs.
    """

    def __init__(self, registry: Registry[Any], tag: str) -> None:
        self.registry, self.tag = registry, tag

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        models = tuple(settings_of(choice) for choice in self.registry.values())
        return handler.generate_schema(Annotated[Union[models], Field(discriminator=self.tag)])  # noqa: UP007


def settings_of(choice: Any) -> type[Settings]:
    """A choice's settings: itself where it is a setting, else its attribute `Settings`."""
    return choice if isinstance(choice, type) and issubclass(choice, Settings) else choice.Settings


class NameThat:
    """As an annotation: a name that `check` accepts. `known` lists such names for the JSON schema.

    It loads nothing before a name is checked.
    """

    def __init__(self, check: Callable[[str], str], known: Callable[[], list[str]]) -> None:
        self.check, self.known = check, known

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return core_schema.no_info_after_validator_function(self.check, core_schema.str_schema())

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "enum": self.known()}
