"""A study: a question, its axes and seeds, read from a TOML file."""

import dataclasses
import functools
import hashlib
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from medzoo.files import safe_name
from medzoo.messages import encode_text, unknown
from medzoo.models.options import Value
from medzoo.runs.json_model import read_json, write_json
from medzoo.runs.sources import is_custom
from medzoo.scores.table import Score, list_own
from medzoo.study.document import Document, StudyScope, Tuned, check_shown
from medzoo.study.source import Source, describe, write_toml
from medzoo.study.trials import Trial, make_trials
from medzoo.tasks import SHAPES

# Most seeds of a trial in a study until decided, if it names no other number.
MAX_SEEDS = 12


@dataclass(frozen=True)
class Study:
    """A study file that was read and checked.

    Args:
        name: Name of the file without its ending.
        question: What the study is to find out.
        tasks: Names of the tasks.
        seeds: Each trial is run once a task and seed.
        data: Data source of every run.
        data_options: What else decides the images; see `Run`.
        baseline: The trial that the others are compared to, if there is one.
        trials: In the order of the file; explicit ones last.
        axis_names: Fields and options that differ between trials, in order of
            appearance.
        fixed: Fields and options that are held still, an axis of one value
            among them.
        text: All of the file.
        tuned: What is chosen on val for each trial and task, if anything.
        score: What tables sort by, and what is said of trials; weights and
            tuned values are chosen by macro F1 on val in any case.
        equal_within: Difference of scores below which two trials are equal for
            all purposes, if it was said.
        track: Names of trackers that log its runs.
        keep: Trained models that are kept: `none`, those of the `best` trial,
            or `all`.
        until: `seeds`, or `decided`: further seeds are added, look by look,
            until the trials are decided.
        max_seeds: Most seeds of a trial in a study until decided.
        given: Seeds that a trial is given so far in a study until decided, by
            its name; a trial that is not named has all.
        own_scores: Scores of plugins, by name.
        scores: Scores that tables show with their intervals, beside the usual.
        operating_point: What the threshold of each class has to reach on val,
            such as `sensitivity>=0.95`, if anything.
        watch: Names of watchers, which see each check of a training.
        corruptions: Whether each run is scored on corrupted test images too.
        of_file: The study as its file says, if flags have changed it.
    """

    name: str
    path: Path
    question: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    data: str
    baseline: Trial | None
    trials: tuple[Trial, ...]
    axis_names: tuple[str, ...]
    fixed: dict[str, Value] = field(hash=False)
    text: str
    tuned: Tuned | None = field(default=None, hash=False)
    track: tuple[str, ...] = ()
    data_options: dict[str, Any] = field(default_factory=dict, hash=False)
    score: str = "macro_f1"
    equal_within: float | None = None
    keep: str = "best"
    until: str = "seeds"
    max_seeds: int = MAX_SEEDS
    given: Mapping[str, int] = field(default_factory=dict, hash=False)
    own_scores: dict[str, Score] = field(default_factory=dict, hash=False)
    # Not in the JSON of studies without them, so that it stays what it was.
    scores: Annotated[tuple[str, ...], Field(exclude_if=operator.not_)] = ()
    operating_point: Annotated[str, Field(exclude_if=operator.not_)] = ""
    watch: Annotated[tuple[str, ...], Field(exclude_if=operator.not_)] = ()
    corruptions: Annotated[bool, Field(exclude_if=operator.not_)] = False
    of_file: "Study | None" = field(
        default=None, repr=False, compare=False, hash=False
    )

    @property
    def asked_scores(self) -> tuple[str, ...]:
        """Its own score, and those that tables show beside the usual ones."""
        return tuple(dict.fromkeys([self.score, *self.scores]))

    def show(
        self,
        *,
        scores: Iterable[str] | None = None,
        operating_point: str | None = None,
    ) -> "Study":
        """Returns the study with other things to show, where given.

        Raises:
            ValueError: With the sentences for the same values in the file.
        """
        given: dict[str, Any] = {
            "scores": None if scores is None else list(scores),
            "operating_point": operating_point,
        }
        given = {key: v for key, v in given.items() if v is not None}
        checked = check_shown(given)
        changes: dict[str, Any] = {
            "scores": tuple(checked.scores),
            "operating_point": checked.operating_point,
        }
        changes = {key: changes[key] for key in given}
        return dataclasses.replace(self, **changes)

    @property
    def is_looked_at(self) -> bool:
        """Says whether seeds are added until the trials are decided."""
        return self.until == "decided"

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """All seeds that a trial may be given.

        Until decided, the next integers follow on those of the file.
        """
        if not self.is_looked_at:
            return self.seeds
        first = max(self.seeds) + 1
        more = range(first, first + max(self.max_seeds - len(self.seeds), 0))
        return (*self.seeds, *more)[: self.max_seeds]

    def with_seeds(self, seeds: Iterable[int]) -> "Study":
        """Returns the study with exactly these seeds for every trial."""
        return dataclasses.replace(
            self, seeds=tuple(seeds), until="seeds", given={}
        )

    @property
    def tune_seeds(self) -> tuple[int, ...]:
        """Seeds of the candidates: those of the study if it names no others."""
        if self.tuned is None or self.tuned.tune_seeds is None:
            return self.seeds
        return tuple(self.tuned.tune_seeds)

    def list_changes(self, *, smoke: bool) -> dict[str, str]:
        """Lists what flags have changed: data, tasks, seeds, looks.

        Tasks count if they are not those that the data bring along.

        Args:
            smoke: Whether it is a smoke run, which is a change as well.
        """
        file = self.of_file or self
        moved = self.data != file.data
        usual = file.override(data=self.data) if moved else file
        changes = {"data": self.data} if moved else {}
        changes |= {
            key: str(value)
            for key, value in self.data_options.items()
            if usual.data_options.get(key) != value and key != "attributes"
        }
        if set(self.tasks) != set(usual.tasks):
            changes["tasks"] = ", ".join(self.tasks)
        if set(self.seeds) != set(file.seeds):
            changes["seeds"] = ", ".join(map(str, sorted(self.seeds)))
        if self.until != file.until:
            changes["until"] = self.until
        if self.is_looked_at and self.max_seeds != file.max_seeds:
            changes["max_seeds"] = str(self.max_seeds)
        return changes | ({"smoke": "True"} if smoke else {})

    def folder_name(self, *, smoke: bool) -> str:
        """Names the folder of its results: its name, `@` and what has changed.

        A study as its file says has a folder of its own, which no run of a part
        of it, on other data or of two steps writes to.

        Example:

        >>> study = read_study("optimizers")
        >>> study.folder_name(smoke=False)
        'optimizers'
        >>> few = study.override(data="synthetic", seeds=[0, 1])
        >>> few.folder_name(smoke=True)
        'optimizers@synthetic+seeds-0-1+smoke'
        """
        words = [
            _name_change(key, value)
            for key, value in self.list_changes(smoke=smoke).items()
        ]
        name = safe_name(self.name)
        return "@".join([name, *(["+".join(words)] if words else [])])

    def to_json(self) -> str:
        """Writes the study as JSON, with the name of its file alone."""
        study, adapter = self._without_folder(), _adapter()
        return write_json(
            lambda: adapter.dump_json(study).decode(),
            lambda: adapter.dump_python(study, mode="json"),
        )

    @classmethod
    def from_json(cls, text: str) -> "Study":
        """Reads what `to_json` has written."""
        adapter = _adapter()
        return read_json(text, adapter.validate_json, adapter.validate_python)

    def _without_folder(self) -> "Study":
        file = self.of_file
        return dataclasses.replace(
            self,
            path=Path(self.path.name),
            of_file=file and file._without_folder(),
        )

    def facts(self) -> dict[str, object]:
        """Returns what a list of studies shows, for JSON."""
        return {
            "name": self.name,
            "path": str(self.path),
            "question": self.question,
            "tasks": list(self.tasks),
            "seeds": list(self.seeds),
            "until": self.until,
            "data": self.data,
            "trials": [trial.name for trial in self.trials],
        }

    def override(
        self,
        *,
        tasks: Iterable[str] | None = None,
        seeds: Iterable[int] | None = None,
        data: str | None = None,
        data_options: Mapping[str, Any] | None = None,
        until: str | None = None,
        max_seeds: int | None = None,
    ) -> "Study":
        """Returns the study with other tasks, seeds or data where given.

        Other data bring their own tasks, if none are given, and none of the
        options that the file has for its own; `data_options` are added.
        Synthetic shapes replace images with masks. Seeds are all that is run,
        unless `until` is given with them.

        Raises:
            ValueError: With the sentences for the same values in the file.
        """
        options = self.data_options if data in (None, self.data) else {}
        data = self.data if data is None else data
        if tasks is None:
            moved = data != self.data and (
                is_custom(data) or is_custom(self.data)
            )
            tasks = "all" if moved else self.tasks
            if moved and self.data.startswith("masks:"):
                tasks = [SHAPES.name] if data == "synthetic" else tasks
        if until is None:
            until = self.until if seeds is None else "seeds"
        if max_seeds is None and until == "decided":
            max_seeds = self.max_seeds
        given = {
            "tasks": tasks if isinstance(tasks, str) else list(tasks),
            "seeds": list(self.seeds if seeds is None else seeds),
            "data": data,
            "data_options": {**options, **(data_options or {})},
            "until": until,
            "max_seeds": max_seeds,
        }
        try:
            scope = StudyScope.model_validate(given)
        except ValidationError as error:
            sentences = [describe(e, e["loc"]) for e in error.errors()]
            raise ValueError("\n".join(sentences)) from None
        if faults := scope.list_faults():
            raise ValueError("\n".join(sentence for _, sentence in faults))
        return dataclasses.replace(
            self,
            tasks=tuple(scope.tasks),
            seeds=tuple(scope.seeds),
            data=scope.data,
            data_options=scope.data_options,
            until=scope.until,
            max_seeds=scope.max_seeds or self.max_seeds,
            given={},
            of_file=self.of_file or self,
        )


@functools.cache
def _adapter() -> TypeAdapter[Study]:
    return TypeAdapter(Study)


def _name_change(key: str, value: str) -> str:
    """Words what flags have changed in characters that a folder may have."""
    if key == "data":
        value = Path(value.partition(":")[2] or value).stem
    elif key == "seeds":
        value = f"seeds-{value}"
    elif key != "tasks":
        value = key if value == "True" else f"{key}-{value}"
    text = re.sub("[^\\w.-]+", "-", value.replace(", ", "-"))
    # Eleven tasks have room; more of them share their digest.
    if len(text) > 150:
        text = (
            f"{text[:40]}-{hashlib.sha256(encode_text(text)).hexdigest()[:8]}"
        )
    return text


@dataclass(frozen=True)
class BrokenStudy:
    """A file that is no study, and the sentence that says why."""

    name: str
    path: Path
    error: str

    def facts(self) -> dict[str, object]:
        """Returns what a list of studies shows, for JSON."""
        return {
            "name": self.name,
            "path": str(self.path),
            "error": self.error,
        }


def read_study(name_or_path: str | Path) -> Study:
    """Reads a study by its name, or by the path of its file.

    Args:
        name_or_path: A file of `./studies` without its ending, a shipped
            study, or a path to any TOML file.

    Raises:
        FileNotFoundError: If there is no file at that path.
        ValueError: For an unknown name, and for a file that is no study: with
            file, line, key and one sentence for each fault.
    """
    path = find_file("study", name_or_path, list_files("studies"))
    return _make_study(Source.read(path))


def make_study(name: str, values: Mapping[str, Any]) -> Study:
    """Makes a study of the keys that its file would have.

    Args:
        name: Its name.
        values: Keys of a study file; those that are `None` or empty are left
            out.

    Raises:
        ValueError: With one sentence for each fault.
    """
    given = {k: v for k, v in values.items() if v not in (None, [], {}, ())}
    given.setdefault("question", f"Which trial of `{name}` is the best?")
    source = Source(Path(f"{name}.toml"), write_toml(given))
    return _make_study(source)


def list_studies() -> list[Study | BrokenStudy]:
    """Reads the shipped studies and those of `./studies`, sorted by name."""
    studies: list[Study | BrokenStudy] = []
    for name, path in list_files("studies").items():
        try:
            studies.append(read_study(path))
        except ValueError as error:
            studies.append(BrokenStudy(name, path, str(error)))
    return studies


def _make_study(source: Source) -> Study:
    document = Document.read(source)
    made = make_trials(source, document)
    return Study(
        name=source.path.stem,
        path=source.path,
        question=document.question,
        tasks=tuple(document.tasks),
        seeds=tuple(document.seeds),
        data=document.data,
        baseline=made.baseline,
        trials=made.trials,
        axis_names=made.axis_names,
        fixed=made.fixed,
        text=source.text,
        tuned=document.tuned,
        track=tuple(document.track),
        data_options=document.data_options,
        score=document.score,
        equal_within=document.equal_within,
        keep=document.keep,
        until=document.until,
        max_seeds=document.max_seeds or MAX_SEEDS,
        own_scores=list_own(),
        scores=tuple(document.scores),
        operating_point=document.operating_point,
        watch=tuple(document.watch),
        corruptions=document.corruptions,
    )


def list_files(folder: str) -> dict[str, Path]:
    """Returns the TOML files of a folder by name, sorted.

    Args:
        folder: `studies` or `searches`: the shipped ones, and those of the
            current folder, which win.
    """
    folders = (Path(__file__).parents[1] / folder, Path(folder))
    files = {p.stem: p for each in folders for p in each.glob("*.toml")}
    return dict(sorted(files.items()))


def find_file(
    what: str, name_or_path: str | Path, known: Mapping[str, Path]
) -> Path:
    """Returns the path of a file that is called by name or by path.

    Args:
        what: What it holds: `study` or `search`.
        name_or_path: A name of `known`, or a path to any TOML file.
        known: Files by name.

    Raises:
        FileNotFoundError: If there is no file at that path.
        ValueError: For an unknown name.
    """
    path = Path(name_or_path)
    if path.suffix.lower() != ".toml" and len(path.parts) <= 1:
        if str(name_or_path) not in known:
            hint = _describe_beside(what, path)
            raise ValueError(f"{hint}{unknown(what, str(path), known)}")
        return known[str(name_or_path)]
    if not path.is_file():
        hint = _describe_beside(what, path)
        raise FileNotFoundError(
            f"{hint or f'No {what} file there. '}Expected a TOML file, or the "
            f"name of a {what}: {', '.join(known)}. Received: {path}."
        )
    return path


def _describe_beside(what: str, path: Path) -> str:
    """Says what is there in place of a file; empty if nothing is."""
    file = Path(f"{path}.toml")
    if file.is_file():
        return f"There is `{file}` here. "
    if path.is_dir():
        of_model = " of a model" * (path / "record.json").is_file()
        return f"`{path}` is a folder{of_model}, and no {what} file. "
    return f"`{path}` is no .toml file. " if path.is_file() else ""
