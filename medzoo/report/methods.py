"""The methods of a study, written from its records alone."""

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from medzoo.report.bootstrap import NUM_REPLICATES
from medzoo.report.card import LEAKS
from medzoo.report.evidence import Evidence
from medzoo.report.figures.explained import find_explained
from medzoo.report.inference import NUM_DRAWS
from medzoo.report.latex import write_plain_table
from medzoo.report.pages import describe_options, list_facts
from medzoo.report.references import (
    find_keys,
    format_source,
    list_keys,
    name_source,
    read_cited,
)
from medzoo.report.subgroups import FEWEST_IMAGES, describe_gap
from medzoo.report.subgroups import NUM_DRAWS as SUBGROUP_DRAWS
from medzoo.report.tables import (
    Cell,
    Table,
    escape_latex,
    escape_markdown,
    format_table,
)
from medzoo.report.verdict import describe_looks
from medzoo.runs.fields import OPTIMIZERS
from medzoo.runs.run import Run
from medzoo.scores.table import format_score
from medzoo.study.audits import find_leaks
from medzoo.study.kept_models import name_folder
from medzoo.tasks import get_task

# The blocks of `methods.jinja` by section, a list for each paragraph; after
# them what no record knows, for the author to say.
SECTIONS: dict[str, tuple[list[list[str]], str]] = {
    "Design": ([["design"]], "the hypothesis, and who registered it where"),
    "Data": (
        [["source", "sizes"], ["splits", "level", "exclusions"], ["leaks"]],
        "where and when the images were taken and with which devices, whom "
        "they show, who labelled them and how, how they were de-identified, "
        "and which ethics committee approved of it",
    ),
    "Preprocessing": ([["preprocessing", "missing"]], ""),
    "Models": ([["models"], ["initialisation", "ensembling"]], ""),
    "Training and selection": ([["training"], ["selection"]], ""),
    "Statistics": (
        [
            ["metrics", "output", "corruptions"],
            ["uncertainty"],
            ["fairness"],
            ["looks", "power"],
        ],
        "",
    ),
    "Software and hardware": ([["software", "hardware"]], ""),
    "Availability": (
        [["availability"]],
        "where code, records and models are published",
    ),
}

# Sizes of so many trials at most are said in sentences.
MOST_COSTS = 3


class Written(str):
    """A text that is of its format already."""


@dataclass
class Format:
    """How the prose is written in one format.

    Args:
        escape: Keeps every character of a value.
        cite: Writes keys of the bibliography; empty without any.
        owed: Writes what only the author can say.
        code: Writes a command or the name of a file.
        heading: Writes the title of a level.
        table: Writes the table of sizes.
        cited: Keys that were written so far.
    """

    escape: Callable[[str], str]
    cite: Callable[[Sequence[str]], str]
    owed: Callable[[str], str]
    code: Callable[[str], str]
    heading: Callable[[int, str], str]
    table: Callable[[Table], str]
    cited: dict[str, None] = field(default_factory=dict)

    def finish(self, value: Any) -> str:
        """Escapes a value, unless it is of the format already."""
        text = str(value)
        done = isinstance(value, Written) or text.isspace()
        return text if done else self.escape(text)

    def cite_keys(self, *keys: str) -> Written:
        """Cites sources, and remembers them."""
        self.cited |= dict.fromkeys(keys)
        return Written(self.cite(keys) if keys else "")


def in_markdown() -> Format:
    """Returns the format of `methods.md`."""
    return Format(
        escape_markdown,
        lambda keys: f"({'; '.join(map(name_source, keys))})",
        lambda text: f"**[you must say: {escape_markdown(text)}]**",
        lambda text: f"`{text.replace('`', '')}`",
        lambda level, title: f"{'#' * level} {title}",
        format_table,
    )


def in_latex() -> Format:
    """Returns the format of `methods.tex`."""
    return Format(
        escape_latex,
        lambda keys: rf"\cite{{{','.join(keys)}}}",
        lambda text: rf"\textbf{{[you must say: {escape_latex(text)}]}}",
        lambda text: rf"\texttt{{{_break_code(text)}}}",
        lambda level, title: rf"\{'sub' * (level - 1)}section{{{title}}}",
        lambda table: write_plain_table(
            table,
            "Sizes of the trials; operations are those of a forward pass of "
            "one image, and a range is that over the tasks.",
            "tab:sizes",
        ),
    )


def _break_code(text: str) -> str:
    """Lets a long name break after each sign, and a digest anywhere."""
    return " ".join(
        "".join(
            rf"{escape_latex(part)}\allowbreak{{}}"
            for part in re.findall(r"\w{1,8}[^\w]?|[^\w]", word)
        )
        for word in text.split()
    )


class Prose:
    """The sentences of a study by the name of their block.

    Args:
        values: What `find_values` found.
        form: The format to write.
    """

    def __init__(self, values: Mapping[str, Any], form: Format) -> None:
        self.form = form
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).with_name("paper")),
            finalize=form.finish,
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # noqa: S701, as `finalize` escapes.
        )
        environment.filters["list_words"] = list_words
        self._template = environment.get_template("methods.jinja")
        self._values = {
            **values,
            "cite": form.cite_keys,
            "owed": lambda text: Written(form.owed(text)),
            "code": lambda text: Written(form.code(text)),
        }

    def write(self, block: str) -> str:
        """Writes the sentences of a block, as one line."""
        context = self._template.new_context(self._values)
        text = "".join(self._template.blocks[block](context))
        words = " ".join(text.split())
        return words.replace(" .", ".").replace(" ,", ",").replace(" :", ":")

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of all blocks."""
        return tuple(self._template.blocks)


def list_words(values: Iterable[Any]) -> str:
    """Lists values as a sentence does.

    Example:

    >>> list_words(["adam", "sgd", "lion"])
    'adam, sgd and lion'
    >>> list_words(["model=mlp, width=8", "model=mlp, width=9"])
    'model=mlp, width=8; model=mlp, width=9'
    """
    texts = [str(value) for value in values]
    if any(", " in text for text in texts):
        return "; ".join(texts)
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def make_methods(values: Mapping[str, Any], form: Format) -> str:
    """Writes the methods of a study, each section with what is owed.

    Args:
        values: What `find_values` found.
        form: `in_markdown()` or `in_latex()`; it keeps what was cited.
    """
    prose = Prose(values, form)
    parts = [form.heading(1, "Methods")]
    for title, (paragraphs, owed) in SECTIONS.items():
        parts.append(form.heading(2, title))
        texts = [
            " ".join(filter(None, map(prose.write, blocks)))
            for blocks in paragraphs
        ]
        parts += [_fill(text) for text in texts if text]
        parts += [_fill(form.owed(owed))] * bool(owed)
        sizes = _tabulate_costs(values) if title == "Models" else None
        parts += [form.table(sizes)] if sizes else []
    form.cited |= dict.fromkeys(values["used"])
    return "\n\n".join(parts) + "\n"


def list_sources(form: Format) -> str:
    """Writes the list of references of Markdown."""
    lines = sorted(format_source(key) for key in form.cited)
    texts = [_fill(f"- {escape_markdown(line)}") for line in lines]
    return "\n\n".join([form.heading(2, "References"), "\n".join(texts)]) + "\n"


def _fill(text: str) -> str:
    return textwrap.fill(
        text, width=88, break_long_words=False, break_on_hyphens=False
    )


def find_values(evidence: Evidence) -> dict[str, Any]:
    """Finds everything that the prose states."""
    runs = [run for trial in evidence.results for run in trial.runs.values()]
    return {
        **_find_design(evidence),
        **_find_data(evidence, runs),
        **_find_models(evidence, runs),
        **_find_training(evidence, runs),
        **_find_statistics(evidence),
        **_find_machines(evidence),
        "used": list_keys(runs),
    }


def _find_design(evidence: Evidence) -> dict[str, Any]:
    study = evidence.study
    return {
        "question": " ".join(study.question.split()),
        "trials": [trial.name for trial in study.trials],
        "axes": [name.replace("_", " ") for name in study.axis_names],
        "baseline": study.baseline.name if study.baseline else "",
        "verdict": evidence.verdict,
        "best": evidence.best.trial.name,
        "command": evidence.command,
    }


def _find_data(evidence: Evidence, runs: Sequence[Run]) -> dict[str, Any]:
    data = {
        (run.data, task, run.size): run for run in runs for task in run.tasks
    }
    records = evidence.records
    fingerprints = [record.data_fingerprint for record in records]
    options = [dict(run.data_options) for run in runs]
    official = [
        _describe_official(task, size, fingerprints)
        for source, task, size in data
        if source == "medmnist"
    ]
    others = [
        {
            "name": run.task,
            "source": run.data,
            "page": run.data_options.get("page", ""),
            "fingerprint": record.data_fingerprint,
            "classes": record.classes,
        }
        for run in data.values()
        if run.data != "medmnist"
        for record in [r for r in records if r.run.task == run.task][:1]
    ]
    return {
        "official": official,
        "synthetic": [o for o in others if o["source"] == "synthetic"],
        "custom": [o for o in others if o["source"] != "synthetic"],
        "sizes": _count_images(evidence),
        "notes": list(dict.fromkeys(n for r in records for n in r.notes)),
        "resplit": any(run.is_resplit for run in runs),
        "groups": _unique(o["group"] for o in options if o.get("group")),
        "dropped": any(o.get("drop_leaks") for o in options),
        "skipped": any(o.get("skip_bad") for o in options),
        "most_images": _unique(run.max_images for run in runs),
        "leaks": find_leaks(evidence.store, fingerprints)
        or [
            f"{task}: {LEAKS[task]}"
            for source, task, _ in data
            if source == "medmnist" and task in LEAKS
        ],
        "pixels": list_words(
            _unique(f"{run.size} × {run.size}" for run in runs)
        )
        + " pixels",
        "read_with": _unique(_describe_reading(run) for run in runs),
        "augmentations": _unique(
            run.augmentation.replace("_", " ")
            for run in runs
            if run.augmentation != "none"
        ),
    }


def _describe_reading(run: Run) -> str:
    """Words how files were read, without where they are."""
    options = {
        key: value
        for key, value in run.data_options.items()
        if key not in ("page", "path")
    }
    return describe_options(run.model_copy(update={"data_options": options}))


def _describe_official(
    name: str, size: int, fingerprints: Sequence[str]
) -> dict[str, Any]:
    task = get_task(name)
    colour = "grey" if task.channels == 1 else "RGB"
    start = f"medmnist:{name}:{size}:"
    read = [f for f in fingerprints if f.startswith(start)]
    return {
        "title": task.title,
        "sources": find_keys("task", name),
        "classes": task.meanings or task.classes,
        "pixels": f"{colour} {size} × {size}",
        "licence": task.licence,
        "file": task.file_name(size),
        "md5": re.split("[:,]", read[0])[3] if read else "",
    }


def _count_images(evidence: Evidence) -> list[dict[str, Any]]:
    """Counts the images of each task, which seeds may split differently."""
    found: dict[str, dict[str, list[str]]] = {}
    for trial in evidence.results:
        for (_, task), record in trial.records.items():
            for split, count in record.num_images.items():
                counts = found.setdefault(task, {}).setdefault(split, [])
                counts.extend({str(count)} - set(counts))
    return [
        {
            "name": task,
            "counts": [f"{' or '.join(n)} {s}" for s, n in splits.items()],
        }
        for task, splits in found.items()
    ]


def _find_models(evidence: Evidence, runs: Sequence[Run]) -> dict[str, Any]:
    names = _unique(run.model for run in runs)
    by_name = {run.model: run for run in runs}
    backbones = _unique(_option(run, "backbone") for run in runs)
    pretrained = _unique(
        _option(run, "weights")
        for run in runs
        if _option(run, "backbone") != "none"
    )
    pretrained = [name for name in pretrained if name != "none"]
    return {
        "models": [
            {
                "name": name,
                "about": by_name[name].entry.about,
                "sources": find_keys("model", name),
            }
            for name in names
        ],
        "backbones": [
            {"name": name, "sources": find_keys("backbone", name)}
            for name in backbones
            if name != "none"
        ],
        "pretrained": pretrained,
        "pretrained_keys": [
            key for name in pretrained for key in find_keys("weights", name)
        ],
        "plugins": list_facts(evidence).get("Plugins", ""),
        "costs": _find_costs(evidence),
        "most_costs": MOST_COSTS,
        "members": [
            n for n in _unique(_option(r, "members") for r in runs) if n > 1
        ],
        "outputs": _unique(run.output for run in runs),
        "baselines": any(run.entry.baseline for run in runs),
    }


def _option(run: Run, name: str) -> Any:
    return {**run.entry.defaults, **run.options}.get(name)


def _find_costs(evidence: Evidence) -> list[dict[str, Any]]:
    """Lists parameters and operations, once for all trials that share them."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for trial in evidence.results:
        records = [r for r in trial.records.values() if r.parameters]
        counts = [r.parameters for r in records if r.parameters]
        if not counts:
            continue
        totals = [count.total for count in counts]
        trained = [count.trainable for count in counts]
        flops = [r.flops / 1e6 for r in records if r.flops is not None]
        key = (
            _format_range(totals, "{:,}"),
            _format_range(trained, "{:,}") if trained != totals else "",
            _format_range(flops, "{:,.2f}"),
        )
        found.setdefault(key, []).append(trial.trial.name)
    several = len(evidence.results) > 1
    return [
        {
            "trials": ["All trials"]
            if several and len(names) == len(evidence.results)
            else names,
            "parameters": total,
            "trainable": trained,
            "mflops": mflops,
        }
        for (total, trained, mflops), names in found.items()
    ]


def _format_range(values: Sequence[float], form: str) -> str:
    """Writes the lowest and the highest value, as tasks may differ.

    Example:

    >>> _format_range([81_590, 82_121], "{:,}")
    '81,590 to 82,121'
    """
    ends = sorted({min(values), max(values)}) if values else []
    return " to ".join(form.format(value) for value in ends)


def _tabulate_costs(values: Mapping[str, Any]) -> Table | None:
    """Makes a table of sizes, of more than would be read in a sentence."""
    if len(values["costs"]) <= MOST_COSTS:
        return None
    columns = ("trial", "parameters", "of them trained", "million operations")
    rows: list[list[Cell]] = [
        [
            list_words(cost["trials"]),
            cost["parameters"],
            cost["trainable"] or "all",
            cost["mflops"],
        ]
        for cost in values["costs"]
    ]
    return Table(columns, rows)


def _find_training(evidence: Evidence, runs: Sequence[Run]) -> dict[str, Any]:
    facts = list_facts(evidence)
    networks = [run for run in runs if not run.entry.baseline]
    fixed = facts.get("Fixed", "")
    return {
        "seeds": evidence.results[0].seeds,
        "num_tasks": len(evidence.results[0].tasks),
        "num_runs": evidence.num_runs,
        "num_done": evidence.num_done,
        "num_failed": evidence.num_failed,
        "num_missing": evidence.num_missing,
        "fixed": [part.replace("_", " ") for part in fixed.split(", ") if part],
        "varying": [
            part.replace("_", " ")
            for part in facts.get("Following from the axes", "").split(", ")
            if part
        ],
        "optimizers": [
            {"name": n, "rate": rate, "sources": find_keys("optimizer", n)}
            for n, rate in sorted(_list_rates(networks).items())
        ],
        "methods": _list_methods(networks),
        "imbalances": _unique(
            run.imbalance.replace("_", " ")
            for run in runs
            if run.imbalance != "none"
        ),
        "tuned": facts.get("Tuned on val", ""),
        "kept_best": any(run.keep == "best" for run in networks),
        "kept_last": any(run.keep == "last" for run in networks),
    }


def _list_rates(runs: Sequence[Run]) -> dict[str, str]:
    """Lists the learning rates of each optimizer."""
    found: dict[str, list[float]] = {}
    for run in runs:
        rate = run.learning_rate
        if rate is None and run.optimizer in OPTIMIZERS:
            rate = OPTIMIZERS[run.optimizer].learning_rate
        rates = found.setdefault(run.optimizer, [])
        if rate is not None and rate not in rates:
            rates.append(rate)
    return {
        name: f"({', '.join(f'{rate:g}' for rate in rates)})" if rates else ""
        for name, rates in found.items()
    }


# Fields and options whose methods have sources, besides those said elsewhere.
_SAID = {"task", "model", "backbone", "weights", "optimizer", "package"}


def _list_methods(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Lists each value with a source, once."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        values = {**run.entry.defaults, **run.flatten()}
        for kind in read_cited().keys() - _SAID:
            if kind in values and (keys := find_keys(kind, values[kind])):
                name = str(values[kind]).replace("_", " ").lower()
                found[kind.replace("_", " "), name] = keys
    return [
        {"field": kind, "value": value, "sources": found[kind, value]}
        for kind, value in sorted(found)
    ]


def _find_statistics(evidence: Evidence) -> dict[str, Any]:
    statistics = evidence.statistics
    plan = statistics.plan
    given = [t.num_seeds for t in statistics.trials.values() if t.num_seeds]
    margin = statistics.equal_within
    breakdowns = [
        found
        for found in evidence.subgroups
        if found.trial == evidence.best.trial.name
        and found.task == evidence.results[0].tasks[0]
    ]
    return {
        "score": format_score(evidence.study.score),
        "one_seed": statistics.num_seeds == 1,
        "score_is_f1": evidence.study.score == "macro_f1",
        "draws": f"{NUM_REPLICATES:,}",
        "whole_groups": evidence.has_groups,
        "pair_draws": f"{NUM_DRAWS:,}",
        "picked": len(statistics.complete) > 3,
        "overlapping": any(trial.overlap for trial in evidence.results),
        "equal_within": "" if margin is None else f"{margin:g}",
        "friedman": statistics.friedman is not None,
        "looks": describe_looks(statistics),
        "detectable": f"{plan.detectable(min(given)):.3f}"
        if plan and min(given, default=1) > 1
        else "",
        "asked": list(map(format_score, evidence.study.scores)),
        "operating_point": evidence.study.operating_point,
        "subgroups": [found.attribute for found in breakdowns],
        "gaps": list(map(describe_gap, breakdowns)),
        "fewest": FEWEST_IMAGES,
        "grouped": any(
            row.num_groups is not None
            for found in breakdowns
            for row in found.rows
        ),
        "subgroup_draws": f"{SUBGROUP_DRAWS:,}",
        **_find_corrupted(evidence),
        "galleries": bool(evidence.galleries),
        "explained": bool(
            find_explained(
                evidence.results,
                evidence.store,
                name_folder(evidence.study, smoke=evidence.smoke),
            )
        ),
    }


def _find_corrupted(evidence: Evidence) -> dict[str, Any]:
    found = evidence.corrupted
    kinds = dict.fromkeys(kind for each in found for kind in each.kinds)
    return {
        "corruptions": [kind.replace("_", " ") for kind in kinds],
        "corrupted": [
            {
                "task": each.task,
                "clean": f"{each.clean.mean():.3f}",
                "corrupted": f"{each.errors.mean():.3f}",
            }
            for each in found
            if each.trial == evidence.best.trial.name
        ],
    }


def _find_machines(evidence: Evidence) -> dict[str, Any]:
    done = {r.run_id: r for t in evidence.results for r in t.done}.values()
    seconds = sum(record.seconds.get("total", 0.0) for record in done)
    memory = [r.peak_memory_mb for r in done if r.peak_memory_mb]
    days = sorted({record.started[:10] for record in done} - {""})
    return {
        "packages": [
            {
                "name": name,
                "version": list_words(versions),
                "sources": find_keys("package", name),
            }
            for name in read_cited()["package"]
            if (versions := _unique(r.versions.get(name) for r in done))
        ],
        "devices": _unique(record.device for record in done) or ["unknown"],
        "memory": f"{max(memory):,.0f}" if memory else "",
        "hours": f"{seconds / 3600:.2f}",
        "dates": _unique([days[0], days[-1]]) if days else [],
    }


def _unique(values: Iterable[Any]) -> list[Any]:
    """Keeps the first of each value that is not empty."""
    return [v for v in dict.fromkeys(values) if v not in (None, "")]
