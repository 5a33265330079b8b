"""Data sources of runs: their checks, facts and fingerprints."""

from collections.abc import Mapping
from typing import Any, TypeVar

from medzoo.data.custom.address import (
    PUBLISHED,
    Address,
    find_address,
    is_custom,
    parse_address,
)
from medzoo.data.custom.options import make_canonical
from medzoo.messages import unknown
from medzoo.runs.fields import RunFields
from medzoo.tasks import SHAPES, SIZES, Task, join_facts, split_tasks

AnyRun = TypeVar("AnyRun", bound=RunFields)


def check_source(data: str) -> None:
    """Checks the name of a data source.

    Raises:
        ValueError: If it is none.
    """
    if data not in PUBLISHED:
        parse_address(data)


def check_task(task: str, data: str, size: int) -> None:
    """Checks that a data source has such a task, in such a size.

    Custom data may have any name and size, synthetic ones any size.

    Raises:
        ValueError: For an unknown task or size.
    """
    if is_custom(data):
        return
    names = split_tasks(task)  # Raises the sentence that fits.
    if SHAPES.name in names:
        if data != "synthetic" or len(names) > 1:
            raise ValueError(
                "Task `shapes` is made up, and by itself. Expected "
                f"data='synthetic'. Received: task={task!r}, data={data!r}."
            )
        return
    if data != "synthetic" and size not in SIZES:
        raise ValueError(unknown("size", size, map(str, SIZES)))


def find_custom(what: str) -> Address:
    """Returns the address of custom data, which have to be there.

    Args:
        what: An address, or a plain path.

    Raises:
        FileNotFoundError: If they are not.
        ValueError: If it is no address.
    """
    address = find_address(what)
    if not address.path.exists():
        raise FileNotFoundError(
            f"No data at `{address.path}`. Expected a folder of images, or a "
            f"file that lists or holds them. Received: {what}."
        )
    return address


def name_task(data: str) -> str | None:
    """Names the one task of custom data; `None` for the sources of the 11.

    Example:

    >>> name_task("folder:../data/cells"), name_task("synthetic")
    ('cells', None)
    """
    return parse_address(data).task if is_custom(data) else None


def part_data(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parts the table `[data]` of a file into the source and its options.

    Example:

    >>> part_data({"data": {"source": "folder:cells", "mode": "grey"}})
    {'data': 'folder:cells', 'data_options': {'mode': 'grey'}}
    """
    if not isinstance(values.get("data"), dict):
        return dict(values)
    options = dict(values["data"])
    source = options.pop("source", "medmnist")
    return {**values, "data": source, "data_options": options}


def facts_of(run: RunFields) -> Task:
    """Returns the facts of a run's task, whatever its data are.

    Raises:
        FileNotFoundError: If custom data are not there.
        ValueError: If they cannot be used.
    """
    if not is_custom(run.data):
        return join_facts(run.tasks)
    from medzoo.data.custom.load import describe_custom

    return describe_custom(run.task, run.data, run.size, run.data_options)


def with_fingerprint(run: AnyRun) -> AnyRun:
    """Returns a run on custom data with their fingerprint filled in.

    Raises:
        FileNotFoundError: If custom data are not there.
        ValueError: If they cannot be used.
    """
    if not is_custom(run.data):
        return run
    content, _ = find_fingerprint(run.data, run.size, run.data_options)
    return run.model_copy(update={"fingerprint": content})


def find_fingerprint(
    data: str, size: int, options: Mapping[str, Any]
) -> tuple[str, tuple[str, ...]]:
    """Identifies custom data by their content, with notes for tables.

    The data are decoded if this is the first time.

    Returns:
        The fingerprint and the notes; both empty for published data.

    Raises:
        FileNotFoundError: If custom data are not there.
        ValueError: If they cannot be used, or are too few for their folds.
    """
    if not is_custom(data):
        return "", ()
    from medzoo.data.custom.load import load_custom

    options = make_canonical(data, options)
    found = load_custom(parse_address(data).task, data, size, options)
    if "folds" in options:
        from medzoo.data.folds import note_folds, require_groups

        require_groups(found, data, size, options)
        return found.fingerprint, note_folds(found, data, size, options)
    return found.fingerprint, found.notes
