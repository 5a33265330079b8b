"""A search: one TOML file with a space and a budget.

It is a file of its own rather than a section of a study: a search finds one
good trial, a study compares, and neither should pass for the other.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from medzoo.messages import not_listed
from medzoo.models.options import Value
from medzoo.runs.run import Run
from medzoo.runs.sources import with_fingerprint
from medzoo.scores.table import list_used
from medzoo.search.space import Dimension, list_grid, probe
from medzoo.study.document import ONCE, Scope, join_tables, list_wrong_keys
from medzoo.study.plugins import load_listed
from medzoo.study.source import (
    Fault,
    KeyPath,
    Source,
    describe,
    find_faults,
    format_key,
)
from medzoo.study.spec import find_file, list_files
from medzoo.study.trials import describe_no_masks

Tuner = Literal["random", "hyperband", "bayesian", "grid"]
# Seeds of the study that proves the winner, if the file does not say them.
NUM_PROOF_SEEDS = 5


def _check_parents(space: dict[str, Dimension]) -> dict[str, Dimension]:
    above: dict[str, Dimension] = {}
    for name, dimension in space.items():
        for parent, values in dimension.when.items():
            allowed = above[parent].values if parent in above else None
            if allowed is None or not set(values) <= set(allowed):
                raise ValueError(
                    f"`{name}.when.{parent}`: expected values of the list of a "
                    f"key above `{name}`. Received: {values}."
                )
        above[name] = dimension
    return space


_Space = Annotated[
    dict[
        str,
        Annotated[
            Dimension,
            BeforeValidator(
                lambda given: (
                    {"values": given} if isinstance(given, list) else given
                )
            ),
        ],
    ],
    Field(min_length=1),
    AfterValidator(_check_parents),
]


if TYPE_CHECKING:
    _Score = str
else:  # The scores of the table, as the schema of the file lists them.
    _Score = Literal[list_used("search")]


class SearchDocument(Scope):
    """A search: a space of values and a budget."""

    question: str = Field(min_length=1)
    plugins: list[str] = []
    seeds: Annotated[list[int], *ONCE] = [0]
    score: _Score = "macro_f1"
    tuner: Tuner = "random"
    tuner_seed: int = Field(0, ge=0)
    trials: int | None = Field(None, ge=1)
    hours: float | None = Field(None, gt=0)
    proof_seeds: Annotated[list[int], *ONCE] | None = None
    baseline: dict[str, Value] = {}
    fixed: dict[str, Value] = {}
    space: _Space

    def seed_probes(self) -> list[tuple[str, dict[str, Any]]]:
        """Lists those of the proof as well."""
        proof = self.proof_seeds or ()
        found = [("proof_seeds", {"seed": seed}) for seed in proof]
        return super().seed_probes() + found

    def list_faults(self) -> list[Fault]:
        """Checks each value, and that there is a budget and a proof."""
        faults = super().list_faults()
        if self.trials is None and self.hours is None and self.tuner != "grid":
            faults.append(((), "Expected a budget: `trials` or `hours`."))
        proof = set(self.proof_seeds or ())
        if both := sorted(proof & set(self.seeds)):
            sentence = (
                "`proof_seeds` must be others than `seeds`: the winner was "
                f"chosen on these. Received: {both} in both."
            )
            faults.append((("proof_seeds",), sentence))
        if self.tuner == "grid":
            try:
                list_grid(self.space)
            except ValueError as error:
                faults.append((("space",), str(error)))
        return faults


@dataclass(frozen=True)
class Search:
    """A search file that was read and checked.

    Args:
        name: Name of the file without its ending.
        document: Its content.
        text: All of it.
    """

    name: str
    path: Path
    document: SearchDocument = field(hash=False)
    text: str

    @property
    def objective(self) -> str:
        """What is maximised, by the name that histories have for it."""
        return f"val_{self.document.score}"

    @property
    def proof_seeds(self) -> list[int]:
        """Seeds that no candidate was trained with."""
        if self.document.proof_seeds is not None:
            return self.document.proof_seeds
        first = max(self.document.seeds) + 1
        return list(range(first, first + NUM_PROOF_SEEDS))

    def make_run(self, values: dict[str, Value], task: str, seed: int) -> Run:
        """Makes the run of a candidate on one task with one seed."""
        about = self.document
        fields: dict[str, Any] = about.fixed | values
        run = Run(
            task=task,
            data=about.data,
            data_options=about.data_options,
            seed=seed,
            **fields,
        )
        return with_fingerprint(run)


def read_search(name_or_path: str | Path) -> Search:
    """Reads a search by its name, or by the path of its file.

    Args:
        name_or_path: A file of `./searches` without its ending, a shipped
            search, or a path to any TOML file.

    Raises:
        FileNotFoundError: If there is no file at that path.
        ValueError: For an unknown name, and for a file that is no search: with
            file, line, key and one sentence for each fault.
    """
    path = find_file("search", name_or_path, find_searches())
    source = Source.read(path)
    return Search(path.stem, path, _read(source), source.text)


def find_searches() -> dict[str, Path]:
    """Returns the search files by name; those of the current folder win."""
    return list_files("searches")


def _read(source: Source) -> SearchDocument:
    try:
        values = source.parse()
        load_listed(source, values)
        document = SearchDocument.model_validate(values)
    except ValidationError as error:
        faults = []
        for details in error.errors():
            # Below a key of the space, pydantic's places are not the file's.
            place = details["loc"][:2]
            if details["type"] == "extra_forbidden":
                fields = SearchDocument.model_fields
                what = "a key of a search"
                if len(details["loc"]) > 2:
                    fields, what = Dimension.model_fields, "a key of a range"
                key = format_key(details["loc"])
                faults.append((place, not_listed(key, what, fields)))
            else:
                faults.append((place, describe(details, place)))
        raise source.fault(*faults) from None
    if faults := document.list_faults() or _run_faults(document):
        raise source.fault(*dict.fromkeys(faults))
    return document


def _run_faults(document: SearchDocument) -> list[Fault]:
    """Checks the extremes of the space, and the baseline, by their runs."""
    probes = [("space", values) for values in probe(document.space)]
    probes.append(("baseline", document.baseline))
    faults: list[Fault] = []
    for table, values in probes:
        fixed = document.fixed
        if table == "baseline":  # It may say otherwise than `[fixed]`.
            fixed = {k: v for k, v in fixed.items() if k not in values}
        tables: dict[KeyPath, dict[str, Value]]
        tables = {("fixed",): fixed, (table,): values}
        if wrong := list_wrong_keys(tables):
            faults += wrong
            continue
        fields, paths = join_tables(tables)
        try:
            run = Run(**document.first_cell(), **fields)
            if sentence := describe_no_masks(document.score, run):
                faults.append((("score",), sentence))
        except ValidationError as error:
            faults += find_faults(error, paths, (table,))
    return faults
