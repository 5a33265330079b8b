"""From a run to its record: build, train, choose on val, read test once."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from medzoo import data as sources
from medzoo.data.masks import MaskedDataset
from medzoo.data.mixed import MixedDataset
from medzoo.data.split import Dataset
from medzoo.models import get_entry
from medzoo.training.after import predict_variants
from medzoo.training.baselines import fit_baseline
from medzoo.training.features import Features, attach_trunk, load_features
from medzoo.training.fit import Entry, State
from medzoo.training.mask_checks import predicts_masks
from medzoo.training.multi_task import net_of
from medzoo.training.probe import build_probe
from medzoo.training.record import Record
from medzoo.training.run import Run
from medzoo.training.scoring import Predictions, score_logits, score_test
from medzoo.training.session import (
    Session,
    add_seconds,
    choose_trainer,
    describe,
)
from medzoo.training.weights import fetch_weights

if TYPE_CHECKING:
    import keras


def execute(
    run: Run,
    *,
    until: float | None = None,
    read_test: bool = True,
    state: State | None = None,
    on_stop: Callable[[State], None] | None = None,
    on_check: Callable[[Entry], bool | None] | None = None,
    on_model: Callable[["keras.Model"], None] | None = None,
) -> tuple[Record, Predictions]:
    """Trains and evaluates one run.

    Args:
        run: What to train.
        until: Stops at the first check on val at or after this share of the
            budget, 0 to 1; the record is then `pruned`.
        read_test: Whether to read the labels of test. If not, the record is
            `trained`, and `complete` has what is needed to make it `done`.
        state: Where an earlier call stopped; the training goes on from there,
            unless it is of other data or versions.
        on_stop: Called with the state of a training that is stopped.
        on_check: Called with each new entry of the history; says whether to
            stop there.
        on_model: Called with the trained model, which has its best weights;
            of the baselines of scikit-learn, only a `logistic_regression`
            on a pretrained trunk is one.

    Returns:
        The record, and the probabilities and labels of val and test under the
        names `val`, `val_labels`, `test`, `test_labels`; where test is not
        read, its probabilities and `test_logits`.
    """
    started = time.perf_counter()
    data = load_features(run, load_data)
    if get_entry(run.model).baseline:
        return _execute_baseline(run, data, read_test, started, on_model)
    loaded = time.perf_counter() - started
    trainer = choose_trainer(data)
    session = Session(run, data, trainer=trainer, state=state)
    add_seconds(session.record, load=loaded, total=loaded)
    session.train(until, on_check)
    predictions = session.score(read_test=read_test)
    record, model = session.record, session.trainer.model
    if record.status == "pruned" and on_stop is not None:
        on_stop(session.state())
    elif record.scores and on_model is not None:
        cached = isinstance(data, Features)
        on_model(
            attach_trunk(run, load_data(run), model)
            if cached
            else net_of(model)
        )
    return record, predictions


def complete(
    record: Record, predictions: Predictions
) -> tuple[Record, Predictions]:
    """Reads the labels of test for a run that was trained without them.

    Args:
        record: A record that is `trained`; it is left as it is.
        predictions: What came with it.

    Returns:
        The record and the predictions that `execute` had given, had it read
        test at once.

    Raises:
        ValueError: If the data are others than those of the training.
    """
    started = time.perf_counter()
    data = load_data(record.run)
    if data.fingerprint != record.data_fingerprint:
        raise ValueError(
            f"The data of `{record.run.task}` have changed since the run was "
            f"trained. Expected fingerprint {record.data_fingerprint}. "
            f"Received: {data.fingerprint}."
        )
    record = record.model_copy(deep=True, update={"status": "done"})
    predictions = score_test(record, data, predictions)
    seconds = time.perf_counter() - started
    add_seconds(record, evaluate=seconds, total=seconds)
    return record, predictions


def _execute_baseline(
    run: Run,
    data: Dataset,
    read_test: bool,
    started: float,
    on_model: Callable[["keras.Model"], None] | None,
) -> tuple[Record, Predictions]:
    """Fits a classifier of scikit-learn; there is nothing to stop or resume."""
    loaded = time.perf_counter()
    baseline = fit_baseline(run, data)
    fitted = time.perf_counter()
    record = describe(run, baseline.count_parameters(data), data)
    record.status = "done" if read_test else "trained"
    record.chosen = baseline.chosen
    record.flops = baseline.count_flops(data)
    logits = {
        split: baseline.predict_logits(getattr(data, split).images)
        for split in ("val", "test")
    }
    found = predict_variants(run, lambda variant: logits, data)
    predictions = score_logits(record, found, data)
    if read_test:
        predictions = score_test(record, data, predictions)
    is_model = run.model == "logistic_regression" and isinstance(data, Features)
    if on_model is not None and is_model:
        on_model(build_probe(run, load_data(run), baseline))
    ended = time.perf_counter()
    add_seconds(
        record,
        load=loaded - started,
        train=fitted - loaded,
        evaluate=ended - fitted,
        total=ended - started,
    )
    return record, predictions


def require_data(run: Run) -> None:
    """Finds the files of a run on this machine, or downloads them."""
    if run.data == "medmnist":
        from medzoo.data.files import require_files

        require_files(run.tasks, run.size)
    fetch_weights([run])


def load_data(run: Run) -> Dataset:
    """Loads the images that a run asks for."""
    drawn = run.max_images is not None or run.resplit
    data = sources.load(
        run.task,
        run.data,
        run.size,
        run.max_images,
        seed=run.seed if drawn else 0,
        options=tuple(sorted(run.data_options.items())),
        resplit=run.resplit,
    )
    found = data.fingerprint.removesuffix(f", resplit {run.seed}")
    if run.fingerprint not in ("", found):
        raise ValueError(
            f"The data of `{run.task}` have changed since the study was "
            f"planned. Expected fingerprint {run.fingerprint}. Received: "
            f"{data.fingerprint}. Run the same command again."
        )
    if isinstance(data, MaskedDataset) and not predicts_masks(run):
        return data.without_masks()
    if isinstance(data, MixedDataset) and run.options.get("film"):
        return data.with_tasks()
    return data
