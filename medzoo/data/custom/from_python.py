"""Custom data from arrays, a data frame or a `tf.data` pipeline."""

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from medzoo.data.custom.about import path_table
from medzoo.data.custom.arrays import MOST_CLASSES
from medzoo.data.custom.attributes import read_attributes
from medzoo.data.custom.spelling import require_one_spelling
from medzoo.data.custom.table import name_split
from medzoo.data.folders import cache_folder, caching
from medzoo.data.splits import describe_torn, draw_splits
from medzoo.files import replacing, write_csv
from medzoo.messages import unknown
from medzoo.tasks import SPLITS

if TYPE_CHECKING:
    import pandas as pd


class Dataset(NamedTuple):
    """Data of a notebook, written once to the user's cache by their content.

    `data=` of `medzoo.run` and `medzoo.run_study` takes it.

    Args:
        address: Where it lies, as `data` of a run has it.
        size: Height and width of its images.
        options: Data options that are not the usual ones.
    """

    address: str
    size: int
    options: Mapping[str, Any] = {}

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        labels: Any,
        *,
        groups: Sequence[Any] | None = None,
        splits: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        attributes: Mapping[str, Sequence[Any]] | None = None,
        name: str = "arrays",
        val: float = 0.1,
        test: float = 0.2,
        seed: int = 0,
    ) -> "Dataset":
        """Takes arrays of images and labels.

        Args:
            images: `uint8`, shape `(n, side, side)`, or `(n, side, side,
                channels)` with 1 or 3 channels.
            labels: Whole numbers from 0, or names of classes, shape `(n,)`.
            groups: Patient or slide of each image; images of one group stay in
                one split.
            splits: `train`, `val` or `test` for each image; drawn by class if
                `None`.
            classes: Names of the classes, in the order of their labels; sorted
                if labels are names.
            attributes: Values of each image by name, such as `{"age": ages}`,
                for scores by subgroup: a name may have edges of bins,
                `age=40/60`. `None`, NaN and "" are missing values.
            name: Name of the task.
            val: Share of val, where splits are drawn.
            test: Share of test.
            seed: Draws the splits.

        Raises:
            ValueError: For arrays that do not fit.
        """
        images, labels = np.asarray(images), _flatten(labels)
        _check_images(images, len(labels))
        numbers, names = _number_classes(labels, classes)
        about = dict(attributes or {})
        asked = read_attributes(list(about))
        for key, values in {"groups": groups, **about}.items():
            if values is not None and len(values) != len(labels):
                what = "name one group" if key == "groups" else "have one value"
                raise ValueError(
                    f"`{key}` must {what} an image. Expected "
                    f"{len(labels)} of them. Received: {len(values)}."
                )
        keys = [""] * len(labels) if groups is None else [*map(_word, groups)]
        _require_one_spelling(keys, "groups", "group")
        if splits is None:
            drawn = draw_splits(numbers, keys, val=val, test=test, seed=seed)
            note = f"Split at random, {val:.0%} val and {test:.0%} test"
            note += "." if groups is None else ", by group."
        else:
            drawn, note = _read_splits(splits, keys)
        arrays: dict[str, np.ndarray] = {"classes": np.array(names)}
        arrays["notes"] = np.array([note])
        codes = {group: at for at, group in enumerate(dict.fromkeys(keys))}
        codes |= {"": -1}
        numbered = np.array([codes[key] for key in keys], "int32")
        for split in SPLITS:
            rows = drawn == split
            if not rows.any():
                raise ValueError(
                    f"No image is in `{split}`. Expected some in each of "
                    f"{', '.join(SPLITS)}."
                )
            arrays[f"{split}_images"] = images[rows]
            arrays[f"{split}_labels"] = numbers[rows]
            if groups is not None:
                arrays[f"{split}_groups"] = numbered[rows]
        file = io.BytesIO()
        np.savez(file, **arrays)  # type: ignore[arg-type]
        columns = dict(zip(asked, about.values(), strict=True))
        table = {each.name: [*map(_word, c)] for each, c in columns.items()}
        # Equal arrays with other attributes are other data of a notebook.
        beside = repr(table).encode() if table else b""
        path = _write(file.getvalue(), name, ".npz", beside)
        if table:
            _write_table(path_table(path), drawn, table)
        options = {"attributes": tuple(about)} if about else {}
        return cls(f"npz:{path}", images.shape[1], options)

    @classmethod
    def from_dataframe(
        cls,
        frame: "pd.DataFrame",
        *,
        path: str = "path",
        label: str = "label",
        group: str | None = None,
        split: str | None = None,
        attributes: Sequence[str] = (),
        root: str | Path = ".",
        size: int = 28,
        name: str = "frame",
        **options: Any,
    ) -> "Dataset":
        """Takes a data frame of paths and labels, with all of its columns.

        Args:
            frame: A row an image.
            path: Column of the paths of image files.
            label: Column of the classes.
            group: Column of patients or slides, if there is one; "" passes a
                column over that is called so.
            split: Column of splits, likewise.
            attributes: Columns for scores by subgroup, such as `sex`, or
                `age=40/60` with edges of bins.
            root: Folder that the paths are relative to.
            size: Height and width that images get.
            name: Name of the task.
            **options: Further options of CSV files, such as `resize`.

        Raises:
            ValueError: For a column that is not there.
        """
        columns = {"path": path, "label": label, "group": group, "split": split}
        asked = {key: c for key, c in columns.items() if c is not None}
        named = [*filter(None, asked.values())]
        kept = [each.name for each in read_attributes(attributes)]
        for column in [*named, *kept]:
            if column not in frame.columns:
                raise ValueError(unknown("column", column, frame.columns))
        written = _write(frame.to_csv(index=False).encode(), name, ".csv")
        usual = {"path": "path", "label": "label", "group": "group"}
        usual["split"] = "split"
        own = {k: c for k, c in asked.items() if c != usual[k]}
        own["root"] = str(Path(root).resolve())
        if attributes:
            options["attributes"] = tuple(attributes)
        return cls(f"csv:{written}", size, {**own, **options})

    @classmethod
    def from_medical(
        cls,
        paths: Iterable[str | Path],
        labels: Any,
        *,
        size: int = 28,
        window: tuple[float, float] | str = "file",
        slices: Sequence[int] | None = None,
        plane: str = "axial",
        group: str = "patient",
        groups: Sequence[Any] | None = None,
        resize: str = "pad",
        name: str = "medical",
        **options: Any,
    ) -> "Dataset":
        """Takes a slice of each DICOM or NIfTI file (`medzoo[medical]`).

        Rescale slope, photometric interpretation and orientation count. Only
        pixels are kept: patients and studies become numbers.

        Args:
            paths: Files; those that end in `.nii` or `.nii.gz` are NIfTI.
            labels: Of each file, as for `from_arrays`.
            size: Height and width that images get.
            window: Centre and width of the values that become 0 to 255, such
                as `(40, 400)`; `file` for the window of a DICOM header, or
                `range` for all values of the slice.
            slices: Index of the slice or frame of each file, from 0; the middle
                one if `None`. A file may come several times.
            plane: `axial`, `coronal` or `sagittal`, of NIfTI volumes.
            group: What stays in one split: `patient` or `study` of DICOM
                headers, or `none`.
            groups: Patients by your own names, in place of `group`.
            resize: `pad` with black, or `stretch`.
            name: Name of the task.
            **options: Further arguments of `from_arrays`, such as `splits`.

        Raises:
            ValueError: For a file that cannot be used, with the reason, or if
                a package is missing.
        """
        from medzoo.data.custom.medical import read_slices

        read = read_slices(
            paths,
            size=size,
            window=window,
            slices=slices,
            plane=plane,
            group="none" if groups is not None else group,
            resize=resize,
        )
        return cls.from_arrays(
            read.images,
            labels,
            groups=read.groups if groups is None else groups,
            name=name,
            **options,
        )

    @classmethod
    def from_tf_data(
        cls,
        dataset: Iterable[tuple[Any, Any]],
        *,
        splits: Mapping[str, Iterable[tuple[Any, Any]]] | None = None,
        **options: Any,
    ) -> "Dataset":
        """Takes a finite pipeline of images and labels, which is read once.

        Args:
            dataset: Pairs of images and labels, in batches or one by one; how
                they are batched changes nothing, their order does.
            splits: Further pipelines, `val` and `test`, where `dataset` is
                train alone.
            **options: Arguments of `from_arrays`.

        Raises:
            ValueError: For a pipeline without an end, or without images.
        """
        parts = {"train": dataset, **(splits or {})}
        read = {name: _read_pairs(pairs) for name, pairs in parts.items()}
        images = np.concatenate([found[0] for found in read.values()])
        labels = np.concatenate([found[1] for found in read.values()])
        if splits is not None:
            options["splits"] = [
                name for name, found in read.items() for _ in found[1]
            ]
        return cls.from_arrays(images, labels, **options)


def _flatten(labels: Any) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim < 1 or labels.size != len(labels):
        raise ValueError(
            "`labels` must be one class an image, shape (num_images,). "
            f"Received: shape {labels.shape}. Of one-hot labels take "
            "labels.argmax(axis=1)."
        )
    return labels.reshape(-1)


def _check_images(images: np.ndarray, count: int) -> None:
    shape = images.shape
    fits = images.ndim in (3, 4) and len(images) == count > 0
    fits = fits and shape[1] == shape[2] and shape[3:] in ((), (1,), (3,))
    if not fits or images.dtype != np.uint8:
        raise ValueError(
            "`images` must be uint8, 0 to 255, of shape (num_images, side, "
            f"side) or (num_images, side, side, 1 or 3), here with {count} "
            f"images as there are labels. Received: {images.dtype} of shape "
            f"{shape}."
        )


def _number_classes(
    labels: np.ndarray, classes: Sequence[str] | None
) -> tuple[np.ndarray, list[str]]:
    """Returns labels as numbers, and the names of the classes."""
    if labels.dtype.kind in "iu":
        highest = int(labels.max())
        most = len(classes) if classes else min(highest + 1, MOST_CLASSES)
        if labels.min() < 0 or highest >= most:
            raise ValueError(
                f"`labels` must lie between 0 and {most - 1}. "
                f"Received: {labels.min()} to {highest}."
            )
        names = [*map(str, classes or range(highest + 1))]
        return labels.astype("int32"), names
    texts = [_word(label) for label in labels.tolist()]
    if "" in texts:
        at = texts.index("")
        raise ValueError(
            "`labels` must name a class for each image. Expected whole numbers "
            f"or texts. Received: {labels.tolist()[at]!r} for image {at}."
        )
    _require_one_spelling(texts, "labels", "class")
    names = list(classes or sorted(set(texts)))
    if strange := sorted(set(texts) - set(names)):
        raise ValueError(unknown("class", strange[0], names))
    return np.array([names.index(text) for text in texts], "int32"), names


def _read_splits(
    splits: Sequence[str], groups: Sequence[str]
) -> tuple[np.ndarray, str]:
    """Returns the split of each image, and a note of groups that are torn."""
    if len(splits) != len(groups):
        raise ValueError(
            "`splits` must name one split an image. Expected "
            f"{len(groups)} of them. Received: {len(splits)}."
        )
    named = []
    for split in splits:
        found = name_split(str(split))
        if found is None:
            raise ValueError(unknown("split", split, SPLITS))
        named.append(found)
    return np.array(named), "Split as given." + describe_torn(groups, named)


def _require_one_spelling(
    values: Sequence[str], argument: str, kind: str
) -> None:
    named = [(value, f"image {at}") for at, value in enumerate(values)]
    require_one_spelling(named, f"Spell it alike in `{argument}`.", kind=kind)


def _read_pairs(pairs: Iterable[tuple[Any, Any]]) -> tuple[Any, Any]:
    images, labels = [], []
    count = getattr(pairs, "cardinality", None)
    if count is not None and int(count()) == -1:
        raise ValueError(
            "The pipeline has no end. Expected a finite one. Leave out "
            "`repeat()`, or end it by `take(...)`."
        )
    for image, label in pairs:
        image, label = np.asarray(image), np.asarray(label)
        single = label.ndim == 0 or (label.shape == (1,) and len(image) > 1)
        images.append(image[None] if single else image)
        labels.append(label.reshape(-1))
    if not images:
        raise ValueError("The pipeline has no images. Expected some.")
    return np.concatenate(images), np.concatenate(labels)


def _write_table(
    path: Path, splits: np.ndarray, columns: Mapping[str, Iterable[str]]
) -> None:
    """Writes what is known of images beside their arrays, in their order."""
    rows = list(zip(splits, *columns.values(), strict=True))
    order = [at for s in SPLITS for at in np.flatnonzero(splits == s)]
    with caching(path):
        header = ("split", *columns)
        write_csv(path, header, [rows[at] for at in order], raw=True)


def _word(value: Any) -> str:
    """Writes a value as a cell; nothing for `None` and NaN."""
    is_missing = value is None or value != value  # noqa: PLR0124 - NaN
    return "" if is_missing else str(value)


def _write(content: bytes, name: str, ending: str, beside: bytes = b"") -> Path:
    """Writes content under its digest, unless it is there.

    Args:
        content: Of the file.
        name: Of the file.
        ending: Of the file.
        beside: What is written beside it, which is a part of the digest.
    """
    if not name.strip() or "/" in name or "\\" in name:
        raise ValueError(
            "`name` is that of the task, and of a file. Expected letters and "
            f"digits. Received: name={name!r}."
        )
    digest = hashlib.sha256(content + beside).hexdigest()[:16]
    path = cache_folder() / "arrays" / digest / f"{name}{ending}"
    if not path.is_file():
        with caching(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as part:
                Path(part).write_bytes(content)
    return path
