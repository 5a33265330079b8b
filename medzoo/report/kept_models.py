"""Trained models of a study: the best of them kept, and explained."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from medzoo.record import MODEL, RECORD
from medzoo.report.card import write_card
from medzoo.report.figures.explained import path_explained, write_explained
from medzoo.report.results import TrialResults, read_results
from medzoo.report.write import replace_file
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.study.kept_models import find_folder
from medzoo.study.spec import Study


def keep_models(
    results: Sequence[TrialResults],
    store: Store,
    folder: Path,
    *,
    keep: str,
    runs: Iterable[Run],
) -> str:
    """Gives each model its record and its card, and removes what is not kept.

    The best trial is that of the highest mean score on val. It is known when
    all runs of the study have ended: until then all models are kept. Whatever
    ends this function early, the next call does the rest.

    Args:
        results: The trials of the study.
        store: Where their records are.
        folder: Of the models of the study, as of `find_folder`.
        keep: `best` or `all`.
        runs: All runs that the study may have executed, candidates of
            `[tuned]` among them; other models in the folder are left alone.

    Returns:
        Which models are kept, in a sentence; empty if there are none.
    """
    if keep == "best" and (best := find_best(results)):
        wanted = {run.run_id for run in best.runs.values()}
        for run_id in {run.run_id for run in runs} - wanted:
            # Another terminal with the same study may be removing it as well.
            shutil.rmtree(folder / run_id, ignore_errors=True)
        what = f"best trial on val, `{best.trial.name}`, {len(wanted)} runs"
    else:
        what = "runs that were executed here"
    models = sorted(folder.glob(f"*/{MODEL}"))
    for path in models:
        record = store.read(path.parent.name)
        if record is not None and record.scores:
            text = record.model_dump_json(indent=2)
            replace_file(path.with_name(RECORD), text.encode())
            predictions = store.read_predictions(record.run_id)
            write_card(record, path.with_suffix(".md"), predictions)
    count = "1 model" if len(models) == 1 else f"{len(models)} models"
    return f"Kept {count} in {folder}: {what}." if models else ""


def find_best(results: Sequence[TrialResults]) -> TrialResults | None:
    """Finds the trial with the highest mean score on val.

    Returns:
        `None` while a run is missing, or if none has all of its runs done; of
        equal ones, that whose name sorts first.
    """
    ended = [trial.has_ended for trial in results]
    ended += [not t.looks.missing for t in results if t.looks is not None]
    if not all(ended):
        return None
    # Test decides nothing here, so neither does the order of a ranking.
    results = sorted(results, key=lambda trial: trial.trial.name)
    means = [
        float(t.matrix(t.score, "val")[: t.num_given].mean()) for t in results
    ]
    if np.isnan(means).all():
        return None
    return results[int(np.nanargmax(means))]


def explain_study(study: Study, store: Store, *, smoke: bool = False) -> None:
    """Explains images of val by the models that a study has kept.

    One model a task is used: that of the first seed of the first trial that has
    one. The maps are kept beside it, so that a report can show them without a
    training library.

    Raises:
        ValueError: If no model is kept.
    """
    folder = find_folder(study, store, smoke=smoke)
    models: dict[str, Path] = {}
    for trial in read_results(study, store, smoke=smoke):
        for (_, task), run in trial.runs.items():
            path = folder / run.run_id
            if (path / MODEL).is_file():
                models.setdefault(task, path)
    if not models:
        raise ValueError(
            f"Study `{study.name}` has kept no model. Expected some in "
            f"{folder}. Runs that are done are not trained again: train one "
            "with `medzoo train --out`, and explain it with `medzoo explain`."
        )
    for task, path in models.items():
        _explain_model(path, task)


def _explain_model(folder: Path, task: str) -> None:
    from medzoo.training.explain import occlude, pick_surest
    from medzoo.training.saved import load_saved, load_task

    saved = load_saved(folder, task)
    _, data = load_task(saved)
    probabilities = saved.predict(data.val.images)
    rows = pick_surest(probabilities, data.val.labels)
    images, labels = data.val.images[rows], data.val.labels[rows]
    predicted = probabilities[rows].argmax(axis=1)
    captions = [
        f"{task}: {data.classes[label]}, "
        + ("right" if label == found else f"taken for {data.classes[found]}")
        for label, found in zip(labels, predicted, strict=True)
    ]
    maps = occlude(saved.predict, images, predicted)
    write_explained(
        path_explained(folder, task),
        images=images,
        maps=maps,
        captions=captions,
    )
