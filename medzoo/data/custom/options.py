"""What else decides the images of a data source, beside its address."""

from collections.abc import Mapping
from typing import Any

from medzoo.data.custom.address import is_custom
from medzoo.messages import unknown

Option = str | bool | int | float | tuple[str, ...]

# Names of columns and of files; none of them for the official files.
_TABLE: dict[str, Option] = {
    # Files of one image, of one grey channel each, as patterns: red, green,
    # blue.
    "channels": (),
    # A column of paths, or a pattern such as `images/{label}/{id}.png`.
    "path": "path",
    "root": "",
    "label": "label",
    "split": "split",
    "group": "group",
}
# Of images with masks; empty patterns are those of the usual folders.
_MASKS: dict[str, Option] = {
    "path": "",
    "mask": "",
    "root": "",
    # No column: whether the mask is empty.
    "label": "label",
    "split": "split",
    "group": "group",
    # A name for each value of a mask: `0=background`, `255=lesion`.
    "mask_values": (),
    # A column that names the class of all that a mask marks.
    "mask_class": "",
    "no_mask": "fault",
}
_PIXELS: dict[str, Option] = {
    "mode": "auto",
    "resize": "pad",
    "intensity": "bytes",
}
_SPLITS: dict[str, Option] = {"val": 0.1, "test": 0.2, "split_seed": 0}
_EVERY: dict[str, Option] = {"drop_leaks": False}
_CHOICES = {
    "mode": ("auto", "grey", "rgb"),
    "resize": ("pad", "stretch"),
    "intensity": ("bytes", "percentile", "full"),
    "no_mask": ("fault", "unlabelled", "empty"),
}


def defaults(data: str) -> dict[str, Option]:
    """Returns the options of a data source with their defaults.

    Example:

    >>> defaults("medmnist")
    {'drop_leaks': False}
    """
    if not is_custom(data) or data.startswith("npz:"):
        return dict(_EVERY)
    table = dict(_TABLE)
    if data.startswith("folder:"):
        table = {"channels": ()}
    elif data.startswith("masks:"):
        table = dict(_MASKS)
    return {**table, **_PIXELS, **_SPLITS, "skip_bad": False, **_EVERY}


def complete(data: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all options, with the defaults of those that are left out."""
    return {**defaults(data), **options}


def make_canonical(data: str, options: Mapping[str, Any]) -> dict[str, Option]:
    """Checks options and leaves out those that hold their default.

    Args:
        data: The data source.
        options: By name.

    Raises:
        ValueError: For an unknown name or value.

    Example:

    >>> make_canonical("folder:cells", {"resize": "pad", "test": 0.3})
    {'test': 0.3}
    """
    known = defaults(data)
    found: dict[str, Option] = {}
    for name, value in sorted(options.items()):
        if name not in known:
            raise ValueError(unknown("data option", name, known))
        value = tuple(value) if isinstance(value, list) else value
        _check(name, value, known[name])
        if value != known[name]:
            found[name] = value
    _check_shares(complete(data, found))
    return found


def _check(name: str, value: Any, default: Option) -> None:
    kind = type(default)
    fits = type(value) in ((int, float) if kind is float else (kind,))
    if kind is tuple:
        fits = fits and 0 < len(value) <= (3 if name == "channels" else 128)
        fits = fits and all(isinstance(part, str) for part in value)
    if not fits:
        few = "one to three texts" if name == "channels" else "a list of texts"
        expected = few if kind is tuple else kind.__name__
        raise ValueError(
            f"Data option `{name}` must be of type {expected}. "
            f"Received: {name}={value!r}."
        )
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ValueError(unknown(name, value, _CHOICES[name]))


def _check_shares(options: Mapping[str, Any]) -> None:
    """Leaves at least something for each split."""
    if "val" not in options:
        return
    val, test = options["val"], options["test"]
    if min(val, test) <= 0 or val + test >= 1:
        raise ValueError(
            "`val` and `test` are shares of the images, above 0 and together "
            f"below 1. Received: val={val}, test={test}."
        )
