"""JSON of values whose texts may be names of files that are not UTF-8."""

import json
from collections.abc import Callable
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

Value = TypeVar("Value")


class JsonModel(BaseModel):
    r"""A model that is written as JSON, whatever its texts are.

    A name of other bytes than UTF-8 has a lone surrogate for each of them,
    which pydantic neither writes nor reads. JSON has an escape for it.

    Example:

    >>> class Named(JsonModel):
    ...     name: str
    >>> text = Named(name="gr\udcf6").model_dump_json()
    >>> print(text)
    {"name":"gr\udcf6"}
    >>> Named.model_validate_json(text).name == "gr\udcf6"
    True
    """

    def model_dump_json(
        self, *, indent: int | None = None, **options: Any
    ) -> str:
        """Writes the fields as JSON."""
        return write_json(
            lambda: super(JsonModel, self).model_dump_json(
                indent=indent, **options
            ),
            lambda: self.model_dump(mode="json", **options),
            indent=indent,
            nan=self.model_config.get("ser_json_inf_nan") == "constants",
        )

    @classmethod
    def model_validate_json(
        cls, json_data: str | bytes | bytearray, **options: Any
    ) -> Self:
        """Reads the fields from JSON."""
        return read_json(
            json_data,
            lambda text: super(JsonModel, cls).model_validate_json(
                text, **options
            ),
            lambda value: cls.model_validate(value, **options),
        )


def write_json(
    by_pydantic: Callable[[], str],
    as_python: Callable[[], Any],
    *,
    indent: int | None = None,
    nan: bool = False,
) -> str:
    """Writes JSON with pydantic, or without where names are not UTF-8.

    Args:
        by_pydantic: Returns the text.
        as_python: Returns what `json` can write, in the place of that.
        indent: Blanks before each line of a level; one line if left out.
        nan: Whether NaN stays, in the place of null.
    """
    try:
        return by_pydantic()
    except PydanticSerializationError:
        content = as_python()
        if not nan:
            text = json.dumps(content)
            content = json.loads(text, parse_constant=lambda _: None)
        between = (",", ": ") if indent else (",", ":")
        return json.dumps(content, indent=indent, separators=between)


def read_json(
    text: str | bytes | bytearray,
    by_pydantic: Callable[[str | bytes | bytearray], Value],
    from_python: Callable[[Any], Value],
) -> Value:
    """Reads what `write_json` has written."""
    try:
        return by_pydantic(text)
    except ValidationError:
        if not ("\\ud" in text if isinstance(text, str) else b"\\ud" in text):
            raise
        return from_python(json.loads(text))
