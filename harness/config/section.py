"""What every section of the experiment file shares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """Frozen, strict about unknown keys, equal by value."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # an input may be a URL with a password
    )


def compiled(pattern: str, which: str = "the pattern") -> str:
    """A regular expression that messages call `which`; refused where it is none."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"{which} must be a regular expression, but got '{pattern}' ({error})"
        ) from error
    return pattern


Pattern = Annotated[str, AfterValidator(compiled)]
"""A regular expression."""

Positive = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def must_differ(things: str, values: Sequence[Any]) -> None:
    """Refuse a list that names one of its `things` twice."""
    if len(set(values)) != len(values):
        raise ValueError(f"{things} must differ, but got {list(values)}")


def full_sentences(*sentences: str) -> PydanticCustomError:
    """What a validator raises whose sentences name the dotted path of their setting themselves."""
    return PydanticCustomError("full_sentences", "{text}", {"text": "\n".join(sentences)})
