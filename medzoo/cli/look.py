"""Looks at data before anything trains: `medzoo audit`, `medzoo explore`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from medzoo.cli.scope import SkipBad
from medzoo.data.custom.address import FORMS, KINDS
from medzoo.files import safe_name
from medzoo.messages import echo

if TYPE_CHECKING:
    from medzoo.data.sources import Dataset
    from medzoo.report.label_faults import LabelFaults
    from medzoo.store import Store

What = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help=f"A task, {', '.join(FORMS)}, a folder or file, a study's .toml "
        "file, or a model, for the data of its training.",
    ),
]
Like = Annotated[
    Path | None,
    typer.Option(
        help="A study's .toml file or a model: files are read by its options."
    ),
]
Size = Annotated[
    int | None, typer.Option(min=1, help="Height and width; 28 if left out.")
]
Into = Annotated[Path, typer.Option("--out", help="Folder of all reports.")]


class Looked(NamedTuple):
    """Data that a command looks at.

    Args:
        dataset: The images.
        rows: What is known of each file, in the order of train, val and test;
            empty for data that are no files.
        groups: What must stay in one split, such as the patient of each image;
            may be empty.
    """

    dataset: "Dataset"
    rows: list[dict[str, str]]
    groups: list[str]


class _Known(NamedTuple):
    """Data, and how they are read, of a study or of the run of a model.

    Only the first of `tasks` is looked at.
    """

    tasks: tuple[str, ...]
    data: str
    size: int
    options: dict[str, Any]


def look(
    what: str,
    size: int | None,
    like: Path | None = None,
    *,
    skip_bad: bool = False,
) -> Looked:
    """Loads the data that an argument means.

    Args:
        what: The argument.
        size: Height and width; as `like` says, or 28, if left out.
        like: A study or model that says how they are read.
        skip_bad: Whether to leave out files that are bad.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: If the data cannot be used.
    """
    from medzoo.data.custom.address import is_custom
    from medzoo.data.custom.load import load_custom
    from medzoo.data.custom.options import make_canonical

    options = {"skip_bad": True} if skip_bad else {}
    is_address = what.partition(":")[0] in KINDS
    if not is_address and (known := _read_known(Path(what))) is not None:
        _tell_others(what, known)
        return _look_at_known(known, size, options)
    if like is not None:
        known = _read_known(like, is_like=True)
        if known is None:
            raise ValueError(
                f"`{like}` is no study and no model. Expected a .toml or "
                ".keras file, or the folder of a model."
            )
        data, task = _find(what)
        known = known._replace(tasks=(task,), data=data)
        return _look_at_known(known, size, options)
    data, task = _find(what)
    if not is_custom(data):
        return _look_at_known(_Known((task,), data, 28, {}), size, {})
    found = make_canonical(data, options)
    dataset = load_custom(task, data, size or 28, found)
    return _describe(dataset, data, size or 28, found)


def _describe(
    dataset: "Dataset", data: str, size: int, options: Mapping[str, Any]
) -> Looked:
    """Adds what is known of custom images; their listing is read once."""
    from medzoo.data.custom.load import describe_rows, read_groups

    rows = describe_rows(data, size, options)
    groups = [row["group"] for row in rows] or read_groups(data, size, options)
    return Looked(dataset, rows, groups)


def _tell_others(what: str, known: _Known) -> None:
    """Says which of several tasks is looked at."""
    first, *others = known.tasks
    if others:
        echo(
            f"`{what}` has {len(known.tasks)} tasks, of which `{first}` is "
            "looked at. Give the name of another in its place: "
            f"{', '.join(others)}.",
            file=sys.stderr,
        )


def _find(what: str) -> tuple[str, str]:
    """Returns the data source that an argument means, and its task."""
    from medzoo.data.custom.address import find_address
    from medzoo.messages import unknown
    from medzoo.tasks import NAMES, SHAPES

    if what == SHAPES.name:
        return "synthetic", what
    if what in NAMES:
        if Path(what).is_dir():
            echo(
                f"`{what}` is the task of MedMNIST; `folder:{what}` is the "
                "folder that is called so.",
                file=sys.stderr,
            )
        return "medmnist", what
    try:
        address = find_address(what)
    except FileNotFoundError:
        if not Path(what).suffix and len(Path(what).parts) == 1:
            sentence = unknown("task", what, NAMES)
            raise ValueError(
                f"There is no folder or file `{what}` here. {sentence}"
            ) from None
        raise
    return str(address), address.task


def _read_known(path: Path, *, is_like: bool = False) -> _Known | None:
    """Reads a study or the record of a model; `None` if it is neither.

    Args:
        path: What may be one.
        is_like: Whether other data than its own are read.
    """
    if path.suffix == ".toml":
        from medzoo.study.spec import read_study

        study = read_study(str(path))
        size = int(study.fixed.get("size", 28))
        return _Known(study.tasks, study.data, size, study.data_options)
    if path.suffix != ".keras" and not (path / "record.json").is_file():
        return None
    from medzoo.training.saved import read_record, require_own_data

    path, record = read_record(path)
    run = record.run
    if not is_like:
        require_own_data(path, record)
    given: dict[str, Any] = dict(run.data_options)
    if record.ranges:
        given["ranges"] = tuple(record.ranges)
    return _Known(run.tasks, run.data, run.size, given)


def _look_at_known(
    known: _Known, size: int | None, options: Mapping[str, Any]
) -> Looked:
    """Loads data as a study or a training reads them.

    Leaks are included, and the split is the one that folds are drawn from: the
    folds of a seed are no split to be looked at, and names and groups are in
    the order of that one.
    """
    from medzoo.data.custom.address import is_custom
    from medzoo.data.custom.options import defaults, make_canonical
    from medzoo.data.official import require_files
    from medzoo.data.sources import load

    task, data, size = known.tasks[0], known.data, size or known.size
    given = {**known.options, **options, "drop_leaks": False, "folds": 0}
    ranges = given.pop("ranges", None)
    found = {k: v for k, v in given.items() if k in defaults(data)}
    found = make_canonical(data, found)
    if ranges and found.get("intensity", "bytes") != "bytes":
        found["ranges"] = ranges
    if data == "medmnist":
        require_files([task], size)
    dataset = load(task, data, size, options=tuple(sorted(found.items())))
    if not is_custom(data):
        return Looked(dataset, [], [])
    return _describe(dataset, data, size, found)


def audit(
    what: What,
    size: Size = None,
    like: Like = None,
    skip_bad: SkipBad = False,
    study: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="STUDY",
            help="A study of the same data: lists the test images that every "
            "run of its good trials gets wrong, which may be label faults.",
        ),
    ] = None,
    out: Into = Path("results"),
) -> None:
    """Find duplicates, leaks, conflicting labels and shifted splits."""
    from medzoo.data.audit.audit import audit as run_audit
    from medzoo.data.audit.report import format_audit, write_audit
    from medzoo.explore.audit_page import write_audit_page
    from medzoo.files import require_output
    from medzoo.store import Store
    from medzoo.study.audits import keep_audit

    require_output(out, folder=True)
    store = Store()
    store.require_room()
    dataset, rows, groups = look(what, size, like, skip_bad=skip_bad)
    faults = study and _find_faults(study, what, dataset, store)
    found, pairs = run_audit(
        dataset,
        names=[row["path"] for row in rows],
        groups=groups,
    )
    echo("\n".join(format_audit(found)))
    if faults:
        echo(faults.line())
    folder = out / safe_name(f"{dataset.task}_audit")
    paths = write_audit(found, pairs, folder)
    paths += write_audit_page(
        dataset, found, pairs, folder, source=what, faults=faults or None
    )
    for path in [*paths, keep_audit(store, found.summary())]:
        echo(f"Wrote {path}", file=sys.stderr)


def _find_faults(
    name: str, what: str, dataset: "Dataset", store: "Store"
) -> "LabelFaults":
    """Finds what a study gets wrong, of the data that are audited."""
    from medzoo.report.evidence import Evidence
    from medzoo.report.label_faults import find_label_faults
    from medzoo.study.spec import read_study
    from medzoo.tasks import NAMES

    study = read_study(name)
    if what in NAMES:
        study = study.override(tasks=[what])
    elif _read_known(Path(what)) is None:
        data, _ = _find(what)
        study = study.override(data=data)
    evidence = Evidence.read(study, store)
    return find_label_faults(evidence, dataset.task, dataset.fingerprint)


def explore(
    what: What,
    size: Size = None,
    like: Like = None,
    skip_bad: SkipBad = False,
    out: Into = Path("results"),
) -> None:
    """Write a page of counts, samples, means and intensities by class."""
    from medzoo.explore.page import find_warnings, format_summary, write_page
    from medzoo.explore.statistics import summarize
    from medzoo.files import require_output
    from medzoo.store import Store
    from medzoo.study.audits import find_leaks

    require_output(out, folder=True)
    dataset, rows, _ = look(what, size, like, skip_bad=skip_bad)
    found = summarize(dataset, rows)
    leaks = find_leaks(Store(), [dataset.fingerprint])
    lines = [format_summary(dataset, found), *leaks, *find_warnings(found)]
    echo("\n".join([*lines, *dataset.notes]))
    folder = out / safe_name(f"{dataset.task}_explore")
    for path in write_page(dataset, found, folder, source=what, warnings=leaks):
        echo(f"Wrote {path}", file=sys.stderr)
