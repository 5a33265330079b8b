"""Studies with curves and predictions, drawn by a seeded generator."""

import numpy as np
from report_records import make_record, make_study

from medzoo.record import Predictions, SplitPredictions
from medzoo.report.evidence import Evidence
from medzoo.report.results import gather
from medzoo.scores.probabilities import per_class_f1, score
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.trials import Trial
from medzoo.tasks import get_task


def make_widths(count, **changes):
    """Makes a study of `count` trials of other widths; the second is the
    baseline."""
    trials = tuple(
        Trial(f"width {8 + index}", {"width": 8 + index})
        for index in range(count)
    )
    values = {"trials": trials, "axis_names": ("width",)}
    return make_study(**values | {"baseline": trials[1]} | changes)


def make_drawn(study, *, num_images=40, num_checks=6):
    """Draws records and predictions of every run; later trials are worse."""
    random = np.random.default_rng(0)
    names = [trial.name for trial in study.trials]
    records, predictions = {}, {}
    for trial, run in expand(study):
        index = names.index(trial.name)
        classes = get_task(run.task).classes
        drawn = _draw(random, len(classes), num_images, index)
        test = drawn.test.probabilities, drawn.test.labels
        f1, scores = per_class_f1(*test), score(*test, len(classes))
        scores["loss"] = None
        predictions[run.run_id] = drawn
        records[run.run_id] = make_record(
            run,
            scores={"val": scores, "test": scores},
            per_class_f1={"val": f1.tolist(), "test": f1.tolist()},
            classes=list(classes),
            history=_make_history(random, num_checks, scores["macro_f1"]),
            seconds={"train": 10.0 + index + random.random()},
            data_fingerprint=f"drawn:{run.task}",
        )
    return records, predictions


def make_alike(study):
    """Draws records and predictions of runs on the same test images."""
    records, predictions = make_drawn(study)[0], {}
    for at, (_, run) in enumerate(expand(study)):
        num_classes = get_task(run.task).num_classes
        labels = np.arange(60, dtype="int32") % num_classes
        logits = np.random.default_rng(at).normal(size=(60, num_classes))
        logits[np.arange(60), labels] += 1.5
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        split = SplitPredictions(shares.astype("float32"), labels)
        scores = score(shares, labels, num_classes) | {"loss": None}
        found = {"scores": {"val": scores, "test": scores}}
        records[run.run_id] = records[run.run_id].model_copy(update=found)
        predictions[run.run_id] = Predictions(split, split)
    return records, predictions


def report_on(study, folder, records=None, predictions=None, **options):
    """Returns the evidence of a study: trials, predictions and statistics."""
    if records is None:
        records, predictions = make_drawn(study)
    store = Store(folder)
    for run_id, arrays in (predictions or {}).items():
        store.write(records[run_id], arrays)
    results = gather(expand(study), records)
    return Evidence.of(study, store, results, **options)


def _draw(random, num_classes, num_images, index):
    """Draws probabilities that are right the less often, the later."""
    labels = random.integers(num_classes, size=num_images, dtype="int32")
    labels[:num_classes] = range(num_classes)
    logits = random.normal(size=(num_images, num_classes))
    logits[np.arange(num_images), labels] += 2.5 - 0.15 * index
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    split = SplitPredictions(shares.astype("float32"), labels)
    return Predictions(val=split, test=split)


def _make_history(random, num_checks, last):
    return [
        {
            "step": 10.0 * check,
            "epoch": float(check),
            "learning_rate": 1e-3,
            "loss": 1 / check,
            "val_loss": 1.2 / check + 0.02 * random.random(),
            "val_macro_f1": last * (1 - 0.8**check) + 0.02 * random.random(),
            "val_accuracy": None,
        }
        for check in range(1, num_checks + 1)
    ]
