"""Options of data sources: names, defaults and checks."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from medzoo.data.custom.address import is_custom
from medzoo.data.custom.attributes import read_attributes
from medzoo.messages import unknown

Option = str | bool | int | float | tuple[str, ...]
# Centre and width of the values of a slice that become 0 to 255; or `file` for
# those of its header, or `range` for its lowest to its highest value.
Window = tuple[float, float] | str
_WINDOWS = ("file", "range")


@dataclass(frozen=True)
class Options:
    """All options of a source of files, with their defaults.

    Args:
        size: Height and width of the images; no data option of a run.
        channels: Files of one image, of one grey channel each, as patterns:
            red, green, blue.
        path: A column of paths, or a pattern such as `images/{id}.png`. Empty
            for the usual folders of images with masks.
        mask: Likewise, of masks.
        root: Folder of the paths, relative to that of the table.
        label: A column. Without labels, whether the mask is empty is learned.
        split: A column.
        group: A column.
        mask_values: A name for each value of a mask: `0=background`.
        mask_threshold: Grey level from which a pixel is marked, of masks with
            soft edges; 0 for masks of whole numbers.
        mask_class: A column that names the class of all that a mask marks.
        no_mask: What an image without a mask is: `fault`, `unlabelled` or
            `empty`.
        mode: `grey`, `rgb`, or `auto` for what the files are.
        resize: `pad` with black, or `stretch`.
        intensity: How 16 bits become 8: `percentile` or `full`; `bytes` for
            files of 8.
        val: Share of val where none is given.
        test: Share of test.
        split_seed: Draws them.
        page: Where the data are published, for whoever lacks them.
        skip_bad: Leaves out what is bad.
        follow_links: Whether links may lead out of the folder.
        drop_leaks: Leaves out images of train that val or test have as well.
        folds: Parts of the images, of which each seed tests another; 0 for the
            one split.
        ranges: Values of 16-bit files that become 0 and 255, by channel, of a
            finished model; no data option of a run, which measures them.
        attributes: Columns that scores are broken down by in reports, such as
            `sex`, or `age=30/50/70` with edges of bins; they change neither
            images nor runs.
        window: Values of a DICOM or NIfTI file that become 0 to 255; see
            `read_window`.
        slice: Index of its slice or frame, from 0; -1 for the middle one.
        plane: `axial`, `coronal` or `sagittal`, of NIfTI volumes.
        group_by: What stays in one split: `patient` or `study` of DICOM
            headers; `none` for what a column or sub-folders say.
        symmetry: Which images keep their class: `mirror` those that are
            flipped left to right, `any` those flipped or turned anyhow,
            `fixed` none. It decides `flip_test`, and what is `by_task`.
    """

    size: int = 28
    channels: tuple[str, ...] = ()
    path: str = ""
    mask: str = ""
    root: str = ""
    label: str = "label"
    split: str = "split"
    group: str = "group"
    mask_values: tuple[str, ...] = ()
    mask_threshold: int = 0
    mask_class: str = ""
    no_mask: str = "fault"
    mode: str = "auto"
    resize: str = "pad"
    intensity: str = "bytes"
    val: float = 0.1
    test: float = 0.2
    split_seed: int = 0
    page: str = field(default="", repr=False)
    skip_bad: bool = False
    follow_links: bool = field(default=True, repr=False)
    drop_leaks: bool = False
    folds: int = field(default=0, repr=False)
    ranges: tuple[tuple[int, int], ...] = field(default=(), repr=False)
    attributes: tuple[str, ...] = field(default=(), repr=False)
    window: str = field(default="range", repr=False)
    slice: int = field(default=-1, repr=False)
    plane: str = field(default="axial", repr=False)
    group_by: str = field(default="none", repr=False)
    symmetry: str = field(default="fixed", repr=False)


# Of the smallest published data each would still test an image.
MOST_FOLDS = 500
_COLUMNS = ("path", "root", "label", "split", "group")
_MASKS = ("mask", "mask_values", "mask_threshold", "mask_class", "no_mask")
_ANY_FILES = ("mode", "resize", "val", "test", "split_seed", "page",
              "skip_bad", "follow_links", "drop_leaks", "folds",
              "attributes", "symmetry")  # fmt: skip
_SLICES = (*_COLUMNS, *_ANY_FILES, "window", "slice")
_NAMES = {
    "folder": ("channels", "intensity", *_ANY_FILES),
    "csv": ("channels", "intensity", *_COLUMNS, *_ANY_FILES),
    "masks": ("intensity", *_COLUMNS, *_MASKS, *_ANY_FILES),
    "npz": ("drop_leaks", "folds", "attributes", "symmetry"),
    "dicom": (*_SLICES, "group_by"),
    "nifti": (*_SLICES, "plane"),
}
# Defaults that differ from those of other kinds.
_USUAL: dict[str, dict[str, Option]] = {
    "csv": {"path": "path"},
    "dicom": {"window": "file", "group_by": "patient"},
}
CHOICES = {
    "mode": ("auto", "grey", "rgb"),
    "resize": ("pad", "stretch"),
    "intensity": ("bytes", "percentile", "full"),
    "no_mask": ("fault", "unlabelled", "empty"),
    "plane": ("axial", "coronal", "sagittal"),
    "group_by": ("patient", "study", "none"),
    "symmetry": ("any", "mirror", "fixed"),
}


def defaults(data: str) -> dict[str, Option]:
    """Returns the options of a data source with their defaults.

    Example:

    >>> defaults("medmnist")
    {'drop_leaks': False, 'folds': 0}
    """
    kind = data.partition(":")[0] if is_custom(data) else ""
    names = _NAMES.get(kind, ("drop_leaks", "folds"))
    known = {k: v for k, v in asdict(Options()).items() if k in names}
    return known | _USUAL.get(kind, {})


def complete(data: str, size: int, options: Mapping[str, Any]) -> Options:
    """Returns all options, with the defaults of those that are left out."""
    return Options(size, **{**defaults(data), **options})


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
    changed: dict[str, Option] = {}
    for name, value in sorted(options.items()):
        if name not in known:
            raise ValueError(unknown("data option", name, ["source", *known]))
        value = tuple(value) if isinstance(value, list) else value
        _check(name, value, known[name])
        if value != known[name]:
            changed[name] = value
    if changed.get("folds") and changed.get("drop_leaks"):
        raise ValueError(
            "`drop_leaks` is about one split, not about folds. Expected one of "
            "the two; give images that belong together a `group`."
        )
    if data.startswith("nifti:") and changed.get("window") == "file":
        raise ValueError(
            "A NIfTI file has no window. Expected one such as window = "
            '"40/400", or "range" for all values of the slice.'
        )
    if "val" in known:
        _check_shares(**{k: {**known, **changed}[k] for k in ("val", "test")})
    return changed


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
    if name == "attributes":
        read_attributes(value)
    if name == "window":
        read_window(value)
    if name == "slice" and value < -1:
        raise ValueError(
            "`slice` is the index of a slice. Expected 0 or more, or -1 for "
            f"the middle one. Received: slice={value}."
        )
    if name == "split_seed" and value < 0:
        raise ValueError(
            "`split_seed` draws the split. Expected 0 or more. Received: "
            f"split_seed={value}."
        )
    if name == "folds" and value and not 2 <= value <= MOST_FOLDS:
        raise ValueError(
            f"`folds` is a number of parts. Expected 2 to {MOST_FOLDS}, such "
            "as 5. "
            f"Received: folds={value}."
        )
    if name == "mask_threshold" and not 0 <= value <= 255:
        raise ValueError(
            "`mask_threshold` is a grey level. Expected 1 to 255, such as 128, "
            f"or 0 for none. Received: mask_threshold={value!r}."
        )
    if name in CHOICES and value not in CHOICES[name]:
        raise ValueError(unknown(name, value, CHOICES[name]))


def _check_shares(val: Any, test: Any) -> None:
    """Leaves at least something for each split."""
    # Of NaN, no comparison is true.
    if not (min(val, test) > 0 and val + test < 1):
        raise ValueError(
            "`val` and `test` are shares of the images, above 0 and together "
            f"below 1. Received: val={val}, test={test}."
        )


def read_window(window: Window) -> Window:
    """Reads a window, and checks it.

    Raises:
        ValueError: If it is none.

    Example:

    >>> read_window("40/400"), read_window("range")
    ((40.0, 400.0), 'range')
    """
    if window in _WINDOWS:
        return window
    parts = window.split("/") if isinstance(window, str) else window
    try:
        centre, width = map(float, parts)
    except (TypeError, ValueError):
        centre = width = 0.0
    if not (math.isfinite(centre) and 1 < width < math.inf):
        raise ValueError(
            "`window` must be centre and width, such as 40/400, `file` or "
            f"`range`, and the width above 1. Received: window={window!r}."
        )
    return centre, width
