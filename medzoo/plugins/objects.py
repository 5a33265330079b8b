"""Functions and objects of Keras in place of names, as a notebook has them."""

from collections.abc import Mapping, Sequence
from typing import Any

from medzoo.messages import FieldError
from medzoo.plugins import register
from medzoo.plugins.identity import digest, identify
from medzoo.runs.plugins import KINDS, Plugin

# Of optimizers these are fields of a run.
_RATES = ("learning_rate", "weight_decay")


def name_objects(values: Mapping[str, Any]) -> dict[str, Any]:
    """Registers functions and objects among the fields of a run.

    Args:
        values: Fields; of those that may be a plugin, also lists of values.

    Returns:
        The same with names in their places.

    Raises:
        FieldError: For content that cannot be told.
    """
    named = dict(values)
    for kind in KINDS:
        value = values.get(kind)
        if isinstance(value, list | tuple):
            named[kind] = _name_each(kind, value)
        elif value is not None:
            named[kind] = name_object(kind, value)
    return named


def _name_each(kind: str, values: Sequence[Any]) -> list[str]:
    names = [name_object(kind, each) for each in values]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise FieldError(
            f"Two values of `{kind}` are called `{twice[0]}`. Expected a name "
            f"each, as in medzoo.register_{kind}(build, name='other').",
            kind,
        )
    return names


def name_object(kind: str, value: Any) -> str:
    """Returns the name of a value of a field, and registers it if needed."""
    if isinstance(value, str):
        return value
    for (known, name), found in register.TARGETS.items():
        if known == kind and found.target is value:
            return name
    if callable(getattr(value, "get_config", None)) and not isinstance(
        value, type
    ):
        return _name_object_of_keras(kind, value)
    if not callable(value):
        raise FieldError(
            f"`{kind}` must be a name, a function or an object of Keras. "
            f"Received: {value!r}.",
            kind,
        )
    getattr(register, f"register_{kind}")(value)
    return register.get_name(value)


def _name_object_of_keras(kind: str, value: Any) -> str:
    """Registers an object by its serialised configuration."""
    import keras

    if kind not in ("loss", "optimizer"):
        raise FieldError(
            f"`{kind}` must be a name or a function that makes it, so that "
            f"each run has one of its own. Received: {type(value).__name__}.",
            kind,
        )
    config = _round(keras.saving.serialize_keras_object(value))
    inner = dict(config["config"])
    rates = {rate: inner.pop(rate, None) for rate in _RATES}
    if kind == "optimizer" and not isinstance(rates["learning_rate"], float):
        raise FieldError(
            f"Optimizer `{type(value).__name__}` has a schedule of its own. "
            "Expected a number as its learning rate, and `schedule` of the "
            "run for its course.",
            "optimizer",
        )
    content: list[Any] = [config["class_name"], inner]
    own = type(value)
    if not own.__module__.startswith("keras."):
        content.append(identify(own))
    known = {k: v or 0.0 for k, v in rates.items() if kind == "optimizer"}
    plugin = Plugin(
        name=_name_config(value, inner),
        content=digest(content),
        config=config,
        defaults=known,
    )
    register.add_plugin(kind, value, plugin)
    return plugin.name


def _name_config(value: Any, config: Mapping[str, Any]) -> str:
    """Names an object by its class and by what is not its default."""
    try:
        usual = _round(type(value)().get_config())
    except TypeError:  # It has no defaults.
        usual = {}
    skipped = ("name", "reduction", "dtype", *_RATES)
    own = [
        f"{key}={each}"
        for key, each in sorted(config.items())
        if key not in skipped and usual.get(key) != each
    ]
    return f"{type(value).__name__}({', '.join(own)})"


def _round(value: Any) -> Any:
    """Rounds numbers that went through 32 bits to the digits that they have."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, Mapping):
        return {key: _round(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_round(each) for each in value]
    return value
