"""Loads trained models and the records beside them, safely."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from medzoo.data.split import Dataset
from medzoo.training.execute import load_data, require_data
from medzoo.training.multi_task import MultiTaskNet
from medzoo.training.record import Record
from medzoo.training.run import Run
from medzoo.training.saved import MODEL, RECORD, Saved, label_shape
from medzoo.training.sources import facts_of

if TYPE_CHECKING:
    import keras


def load_saved(path: str | Path, task: str | None = None) -> Saved:
    """Loads a model and the record beside it.

    Nothing in the file can run code: layers that hold Python functions are
    refused, and arrays are read without pickle.

    Args:
        path: A `.keras` file, or the folder of one called `model.keras`; the
            record is `record.json` beside it.
        task: Which task is wanted of a net of several.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, not a classifier of images, tries to bring
            code of its own, or has no such task.
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
    record = _read_record(path)
    if record is not None and len(record.run.tasks) > 1:
        saved = _load_one_of_several(path, record, task)
    else:
        saved = Saved(_load_model(path), record, path)
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
    net = MultiTaskNet(_load_model(path), record.run.task)
    facts = facts_of(record.run.model_copy(update={"task": task}))
    model = net.of_task(task, facts.channels)
    return Saved(model, record.of_task(task), path, task)


def load_task(saved: Saved, task: str | None = None) -> tuple[Run, Dataset]:
    """Loads the images of a task as a model takes them.

    Args:
        saved: The model.
        task: Name of the task; that of its record if left out.

    Returns:
        A run on them, and the images.

    Raises:
        ValueError: If the task has other images or classes than the model.
    """
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
    facts = facts_of(run)
    expected = (*saved.input_shape, len(saved.classes))
    found = (run.size, run.size, facts.channels, facts.num_classes)
    if expected != found:
        raise ValueError(
            f"Task `{task}` does not fit the model. Expected images of shape "
            f"{expected[:3]} and {expected[3]} classes. "
            f"Received: {found[:3]} and {found[3]}."
        )
    require_data(run)
    return run, load_data(run)


def _load_model(path: Path) -> "keras.Model":
    import keras

    # Both register their layers.
    import medzoo.models.blocks
    import medzoo.models.multi_head  # noqa: F401

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as e:
        reason = str(e).strip().splitlines()[0] if str(e).strip() else repr(e)
        raise ValueError(
            f"`{path}` cannot be loaded safely. Expected a model of the zoo. "
            f"Received: {reason}"
        ) from None


def read_record(path: str | Path) -> tuple[Path, Record]:
    """Reads the record beside a model, without loading the model.

    Returns:
        The path of the model, and the record.

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
        return Record.model_validate_json(beside.read_bytes())
    except ValueError as error:
        raise ValueError(
            f"`{beside}` is no record. Received: {str(error).splitlines()[0]}."
        ) from None
