"""Trained models on disk, with their records."""

import contextlib
import json
import re
import shlex
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from medzoo.data.custom.address import (
    PUBLISHED,
    has_files,
    is_custom,
    parse_address,
)
from medzoo.data.custom.arrays import find_size
from medzoo.data.custom.build import is_decoded
from medzoo.data.custom.images import Reader
from medzoo.data.custom.options import Options, complete, defaults
from medzoo.data.dataset import Dataset
from medzoo.data.official import require_files
from medzoo.data.resizing import fit_dataset
from medzoo.files import read_regular, replacing, writing
from medzoo.record import MODEL, RECORD, Record
from medzoo.runs.run import Run
from medzoo.runs.sources import facts_of, find_custom
from medzoo.runs.symmetries import list_flips
from medzoo.store import Store
from medzoo.training.adjust import average_logits, is_adjusted
from medzoo.training.backend import import_keras
from medzoo.training.execute import load_data, require_data
from medzoo.training.features import leaves_model
from medzoo.training.objectives.masks import predict_labels
from medzoo.training.objectives.tasks import MultiTaskNet
from medzoo.training.plugins import install_plugins
from medzoo.training.predict import predict_logits, to_probabilities

if TYPE_CHECKING:
    import keras


class Saved(NamedTuple):
    """A trained model.

    Args:
        model: From `uint8` images to logits.
        record: Record of its run, if there is one beside it.
        path: The file.
        task: Its task, if it is a part of a net of several; the scores of the
            record are those of the task then, and the run that of the net.
    """

    model: "keras.Model"
    record: Record | None
    path: Path
    task: str | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of its images."""
        height, width, channels = self.model.input_shape[1:]
        return height, width, channels

    @property
    def classes(self) -> list[str]:
        """Names of its classes; their numbers without a record."""
        if self.record is not None and self.record.classes:
            return self.record.classes
        return [str(label) for label in range(label_shape(self.model)[-1] or 0)]

    @property
    def mask_classes(self) -> list[str]:
        """Names of its mask classes, if it has any."""
        if self.record is not None and self.record.mask_classes:
            return self.record.mask_classes
        count = self.model.output["mask"].shape[-1] if self.has_masks else 0
        return [str(mask_class) for mask_class in range(count)]

    @property
    def resize(self) -> str:
        """How images were resized for the training."""
        options = self.record.run.data_options if self.record else {}
        return str(options.get("resize", "pad"))

    def reader(self, resize: bool | None = None) -> Reader:
        """Returns how images become the input of the model.

        Args:
            resize: Whether images of another size are resized; if left out, as
                the files of the training were: those of custom data, but no
                arrays.

        Raises:
            ValueError: If the record lacks the ranges of 16-bit images.
        """
        has_masks, shape = self.has_masks, self.input_shape
        run = self.record.run if self.record else None
        is_square = shape[0] == shape[1]
        if run is None or self.record is None or not has_files(run.data):
            return Reader(
                shape,
                Options(size=shape[0]),
                has_masks=has_masks,
                resize=bool(resize) and is_square,
                any_size=has_masks,
            )
        options = complete(run.data, run.size, run.data_options)
        return Reader(
            shape,
            options,
            self.ranges if options.intensity != "bytes" else (),
            has_masks,
            resize=(resize is None or resize) and is_square,
            any_size=has_masks,
        )

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Values of 16-bit files that became 0 and 255, by channel.

        Raises:
            ValueError: If its record lacks them.
        """
        if self.record is None or not self.record.ranges:
            raise ValueError(
                f"`{self.path.with_name(RECORD)}` does not say which values of "
                "16-bit files became black and white, as records of 0.3.0 and "
                "later do. Train the run again."
            )
        return tuple(self.record.ranges)

    @property
    def has_masks(self) -> bool:
        """Whether it predicts a mask beside a label."""
        return isinstance(self.model.output, dict)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Returns probabilities of `uint8` images, `(n, num_classes)`.

        Raises:
            ValueError: If the images have another shape or type.
        """
        images = np.asarray(images)
        if images.shape[1:] != self.input_shape or images.dtype != np.uint8:
            raise ValueError(
                "`images` do not fit the model. Expected uint8 of shape "
                f"{('n', *self.input_shape)}. Received: {images.dtype} of "
                f"shape {images.shape}."
            )
        if self.has_masks:
            output = self.record.run.output if self.record else "softmax"
            return predict_labels(self.model, images, output)
        if self.record is None:
            return to_probabilities(predict_logits(self.model, images))
        run = self.record.run
        flips: Sequence[tuple[int, ...]] = [()]
        if run.flip_test:
            flips = list_flips(run, self.task)
        views = (np.flip(images, axes) for axes in flips)
        logits = average_logits(self.model, views)
        return to_probabilities(logits, run.output)

    @property
    def note(self) -> str:
        """A warning, if its predictions are not those of its run."""
        run = self.record.run if self.record else None
        if run is None or run.adjust == "none" or is_adjusted(self.model):
            return ""
        return (
            "The run adjusted its logits (`adjust`), which is no part of files "
            "saved before 0.3.0: these are the probabilities without that."
        )


def save_model(model: "keras.Model", path: Path) -> None:
    """Saves a model atomically; a record beside it is of an earlier one.

    That record and its card are removed first, so that whatever ends this
    process, no model is beside the record of another.
    """
    with writing(path), replacing(path, ending=path.suffix) as part:
        model.save(part)
        for earlier in (path.with_name(RECORD), path.with_suffix(".md")):
            earlier.unlink(missing_ok=True)


def save_record(record: Record, folder: Path) -> None:
    """Writes a record beside its model, atomically."""
    path = folder / RECORD
    with writing(path), replacing(path) as part:
        part.write_text(record.model_dump_json(indent=2), encoding="utf-8")


def holds_model(folder: Path, run_id: str) -> bool:
    """Says whether a folder has the model of a run, with its record."""
    faults = (FileNotFoundError, ValueError, TypeError, KeyError)
    with contextlib.suppress(*faults):
        found = json.loads((folder / RECORD).read_bytes())
        return found["run_id"] == run_id and (folder / MODEL).is_file()
    return False


def lacks_model(folder: Path, record: Record) -> bool:
    """Says whether a run has left a model that is not in a folder."""
    return _has_left_model(record) and not holds_model(folder, record.run_id)


def describe_other_model(folder: Path, record: Record) -> str:
    """Words that a folder has a model which is not that of a record.

    Returns:
        One sentence; empty where the record may be written beside the model,
        or there is none.
    """
    if _has_left_model(record) or not (folder / MODEL).is_file():
        return ""
    return (
        f"`{record.run.model}` has left no model ({record.status}): {folder} "
        "keeps the model and the record of an earlier run as they are."
    )


def _has_left_model(record: Record) -> bool:
    return record.status == "done" and leaves_model(record.run)


def label_shape(model: "keras.Model") -> tuple[int | None, ...]:
    """Returns the shape of the logits of labels, as far as it is known."""
    output = model.output
    output = output["label"] if isinstance(output, dict) else output
    return tuple(output.shape)


def load_saved(
    path: str | Path,
    task: str | None = None,
    plugins: Iterable[str | Path] = (),
) -> Saved:
    """Loads a model and the record beside it.

    Nothing in the file can run code: layers that hold Python functions are
    refused, and arrays are read without pickle. Only what is asked for as
    plugins is imported.

    Args:
        path: A `.keras` file, or the folder of `model.keras`; the record is
            `record.json` beside it.
        task: One of the tasks of a net of several.
        plugins: Files or modules of layers that it has from outside of medzoo.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, not a classifier of images, contains code,
            or has no such task.
    """
    path = Path(path)
    if path.is_dir():
        path = path / MODEL
    if not path.is_file():
        raise FileNotFoundError(
            f"No model there. Expected a .keras file. Received: {path}."
        )
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ValueError(
            f"`{path}` is no model. Expected a file of Keras's own format, "
            "which ends in .keras and cannot run code."
        )
    install_plugins(plugins)
    record = _read_record(path)
    if record is not None and len(record.run.tasks) > 1:
        saved = _load_one_of_several(path, record, task)
    else:
        saved = Saved(load_model(path), record, path)
    shapes = saved.model.input_shape, label_shape(saved.model)
    if [len(shape) for shape in shapes] != [4, 2]:
        raise ValueError(
            f"`{path}` does not classify images. Expected a model from (batch, "
            "height, width, channels) to (batch, num_classes). "
            f"Received: {shapes[0]} to {shapes[1]}."
        )
    if len(saved.classes) != shapes[1][-1]:
        raise ValueError(
            f"`{path.with_name(RECORD)}` is of another model. Expected "
            f"{shapes[1][-1]} classes. Received: {len(saved.classes)}."
        )
    return saved


def _load_one_of_several(path: Path, record: Record, task: str | None) -> Saved:
    if task is None:
        raise ValueError(
            f"`{path}` is one net of several tasks. Expected one of them as "
            f"the task (--task): {', '.join(record.run.tasks)}."
        )
    return of_task(load_model(path), record, task, path)


def of_task(
    model: "keras.Model", record: Record, task: str, path: Path = Path(MODEL)
) -> Saved:
    """Returns a trained model as that of one of the tasks of its run."""
    if len(record.run.tasks) == 1:
        return Saved(model, record, path)
    net = MultiTaskNet(model, record.run.task)
    facts = facts_of(record.run.model_copy(update={"task": task}))
    model = net.of_task(task, facts.channels)
    return Saved(model, record.of_task(task), path, task)


def require_own_data(
    path: Path,
    record: Record | None,
    task: str | None = None,
    data: str | None = None,
) -> None:
    """Refuses data that a record alone names, unless they were read before.

    A model that somebody sent names what it likes as the data of its training.
    Known are those of a run in the store, and files that were decoded before.

    Args:
        path: The model.
        record: Its record.
        task: Name of the task that was asked for, if any.
        data: The data that were asked for, if any.

    Raises:
        ValueError: If they are not known, with the flag that reads them.
    """
    run = record.run if record else None
    if run is None or data is not None or not is_custom(run.data):
        return
    if task not in (None, *run.tasks) or Store().has_done(run.run_id):
        return
    address = parse_address(run.data)
    if has_files(run.data) and is_decoded(address):
        return
    raise ValueError(
        f"The record beside `{path}` names data that were not read on this "
        f"machine before: {run.data}. If they are yours, pass --data "
        f"{shlex.quote(run.data)}. To explore and audit: "
        f"{shlex.quote(run.data)} --like {shlex.quote(str(path))}."
    )


def load_task(
    saved: Saved,
    task: str | None = None,
    *,
    data: str | None = None,
    skip_bad: bool = False,
    resize: bool = False,
    download: bool = True,
) -> tuple[Run, Dataset]:
    """Loads the images of a task for a model, with a run on them.

    Args:
        saved: The model.
        task: Name of the task; that of its record if left out.
        data: Where they are; where they were for the training if left out.
        skip_bad: Whether bad files of custom data are left out.
        resize: Whether arrays of another size are resized; files always are.
        download: Whether official files that are missing are downloaded.

    Raises:
        FileNotFoundError: If the data are not there.
        ValueError: If the task has other images or classes than the model, or
            the data are not those of the training and were not asked for; see
            `require_own_data`.
    """
    require_own_data(saved.path, saved.record, task, data)
    known = saved.record.run if saved.record else None
    task = task or saved.task or (known.task if known else None)
    if task is None:
        raise ValueError(
            f"No record beside `{saved.path}` says its task. Pass --task."
        )
    if known is not None and task in known.tasks:
        run = known.model_copy(update={"task": task})
    else:
        run = Run.model_validate({"task": task, "size": saved.input_shape[0]})
    run = _at_place(saved, run, data, skip_bad)
    run = _at_size(run, resize=resize)
    if run.data == "medmnist" and not download:
        require_files(run.tasks, run.size, download=False)
    try:
        facts = facts_of(run)
    except FileNotFoundError as error:
        if not is_custom(run.data) or data is not None:
            raise
        raise FileNotFoundError(
            f"{error} The training read them there: if they were moved, say "
            f"where they are now with --data {run.data.partition(':')[0]}:PATH."
        ) from None
    expected = (*saved.input_shape, len(saved.classes))
    found = (run.size, run.size, facts.channels, facts.num_classes)
    if is_custom(run.data):  # Their images are made to fit.
        found = (*saved.input_shape, facts.num_classes)
    if expected != found:
        raise ValueError(
            f"Task `{task}` does not fit the model. Expected images of shape "
            f"{expected[:3]} and {expected[3]} classes. "
            f"Received: {found[:3]} and {found[3]}."
        )
    require_data(run)
    loaded = load_data(run)
    if saved.record and is_custom(run.data):
        _check_classes(saved, loaded)
        if data is None and (change := describe_change(saved, run, loaded)):
            raise ValueError(
                f"{change} Restore them, or pass --data {run.data} to score "
                "the model on what is there now."
            )
        run = run.model_copy(update={"fingerprint": loaded.fingerprint})
    run = run.model_copy(update={"size": saved.input_shape[0]})
    return run, fit_dataset(loaded, saved.input_shape, saved.resize)


def _at_place(saved: Saved, run: Run, data: str | None, skip_bad: bool) -> Run:
    """Returns a run on data in another place."""
    # A fingerprint would refuse changed data, in words for a study.
    changes: dict[str, Any] = {"fingerprint": ""}
    options: dict[str, Any] = dict(run.data_options)
    if data is not None:
        if data not in PUBLISHED:
            is_masked = run.data.startswith("masks:") and not is_custom(data)
            data = str(find_custom(f"masks:{data}" if is_masked else data))
        known = defaults(data)
        options = {k: v for k, v in options.items() if k in known}
        if has_files(data) and options.get("intensity", "bytes") != "bytes":
            options["ranges"] = saved.ranges
        changes["data"] = data
    if skip_bad and "skip_bad" in defaults(changes.get("data", run.data)):
        options["skip_bad"] = True
    return run.model_copy(update=changes | {"data_options": options})


def _at_size(run: Run, *, resize: bool) -> Run:
    """Returns a run at the size of the images of its archive, if it has one."""
    if not run.data.startswith("npz:"):
        return run
    path = parse_address(run.data).path
    size = find_size(path) if path.is_file() else run.size
    if size in (None, run.size):
        return run
    if not resize:
        raise ValueError(
            f"`{path}` holds images of {size}x{size} pixels, where "
            f"{run.size}x{run.size} belong. Pass --resize to resize them."
        )
    return run.model_copy(update={"size": size})


def _check_classes(saved: Saved, data: Dataset) -> None:
    if list(data.classes) != saved.classes:
        raise ValueError(
            f"The data have other classes than the model. Expected: "
            f"{', '.join(saved.classes)}. Received: {', '.join(data.classes)}. "
            "An npz archive names its own in an array `classes`."
        )


def describe_change(saved: Saved, run: Run, data: Dataset) -> str:
    """Says that data are not those of the training; nothing if they are."""
    record = saved.record
    if record is None or run.task not in record.run.tasks:
        return ""
    if record.data_fingerprint in ("", data.fingerprint):
        return ""
    if len(record.run.tasks) > 1:
        return ""
    return (
        f"The data of `{run.task}` are not those of the training, whose images "
        "may be in any split of them. Expected fingerprint "
        f"{record.data_fingerprint}. Received: {data.fingerprint}."
    )


def load_model(path: Path) -> "keras.Model":
    """Loads a model alone, without the record beside it.

    Raises:
        ValueError: If it is none, or contains code.
    """
    import_keras()
    from medzoo.models.own_backbones import load_network

    try:
        return load_network(path)
    except ValueError as error:
        raise ValueError(
            f"`{path}` cannot be loaded safely. Expected a model of the zoo. "
            f"Received: {error}{_name_plugins(_read_record(path))}"
        ) from None


def _name_plugins(record: Record | None) -> str:
    """Says which plugins a model may need, if its run had any."""
    found = record.run.plugins.values() if record else ()
    sources = sorted({plugin.source for plugin in found if plugin.source})
    if not sources:
        return ""
    return (
        f" Its run had the plugins {', '.join(sources)}: pass them as "
        f"plugins={sources} (--plugin), if you trust them; they are run."
    )


def read_record(path: str | Path) -> tuple[Path, Record]:
    """Reads the record beside a model; returns the model's path and the record.

    Raises:
        FileNotFoundError: If there is no record.
        ValueError: If it is damaged.
    """
    path = Path(path)
    path = path / MODEL if path.is_dir() else path
    record = _read_record(path)
    if record is None:
        raise FileNotFoundError(
            f"No record beside the model. Expected {path.with_name(RECORD)}."
        )
    return path, record


def _read_record(path: Path) -> Record | None:
    beside = path.with_name(RECORD)
    if not beside.is_file():
        return None
    try:
        record = Record.model_validate_json(read_regular(beside))
        # It becomes a part of the names of files.
        if not re.fullmatch("[0-9a-f]{16}", record.run_id):
            raise ValueError(f"run_id={record.run_id!r}")
    except ValueError as error:
        raise ValueError(
            f"`{beside}` is no record. Received: {str(error).splitlines()[0]}."
        ) from None
    return record
