"""Models of a study: of the best trial on val, whatever ends it."""

from functools import partial

import numpy as np
import pytest
from in_process import run_here
from small_study import make_rates

from medzoo.data.sources import load
from medzoo.report.figures.explained import read_explained
from medzoo.report.kept_models import explain_study, find_best
from medzoo.report.results import read_results
from medzoo.report.write import write_report
from medzoo.store import Store
from medzoo.study.kept_models import find_folder, name_folder
from medzoo.study.spec import read_study
from medzoo.training.saved import load_saved, read_record


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    return partial(make_rates, tmp_path)


def run(study, tmp_path, **options):
    run_here(study, tmp_path / "results", **options)
    return sorted(path.name for path in find_folder(study, Store()).glob("*"))


def test_the_best_trial_on_val_keeps_models_that_predict_its_scores(
    study, tmp_path
):
    found = run(study(), tmp_path)
    results = read_results(study(), Store())
    best = find_best(results)
    means = {t.trial.name: t.matrix("macro_f1", "val").mean() for t in results}
    assert best.trial.name == max(means, key=means.get)
    assert found == sorted(run.run_id for run in best.runs.values())
    for name in found:
        folder = find_folder(study(), Store()) / name
        names = {path.name for path in folder.iterdir()}
        assert names == {"model.keras", "record.json", "model.md"}
        _, record = read_record(folder)
        data = load("breastmnist", "synthetic", 28, 64, seed=record.run.seed)
        predictions = Store().read_predictions(name)
        np.testing.assert_array_equal(
            load_saved(folder).predict(data.test.images),
            predictions.test.probabilities,
        )
    # All runs are there: nothing is executed, and nothing is lost.
    assert run(study(), tmp_path) == found
    explain_study(study(), Store())
    written = write_report(study(), Store(), tmp_path / "results", command="-")
    assert "explained.png" in {path.name for path in written.paths}
    told = read_explained(results, Store(), name_folder(study()))
    assert [task.trial for task in told] == [best.trial.name]
    assert 1 <= len(told[0].images) == len(told[0].maps) <= 3


@pytest.mark.slow
def test_a_net_of_several_tasks_explains_each(study, tmp_path):
    several = study(
        task='breastmnist", "retinamnist', model='multi_head"\ntrunk = "mlp'
    )
    assert len(run(several, tmp_path)) == 2
    explain_study(several, Store())
    results = read_results(several, Store())
    told = read_explained(results, Store(), name_folder(several))
    tasks = {
        caption.split(":")[0] for each in told for caption in each.captions
    }
    assert tasks == {"breastmnist", "retinamnist"}


def test_all_and_none_are_what_they_say(study, tmp_path):
    assert run(study('keep = "none"'), tmp_path) == []
    assert run(study('keep = "none"'), tmp_path, keep="all") == []


def test_models_stay_until_the_last_run_has_ended(study, tmp_path):
    kept = study('keep = "all"')
    ids = [
        run.run_id
        for trial in read_results(kept, Store())
        for run in trial.runs.values()
    ]
    assert run(kept, tmp_path) == sorted(ids)
    # As `kill -9` leaves it: a record is missing, a model is half written.
    store, folder = Store(), find_folder(kept, Store())
    (store.folder / ids[0][:2] / f"{ids[0]}.json").unlink()
    assert find_best(read_results(kept, store)) is None
    (folder / ids[0] / "model.keras").rename(folder / ids[0] / ".model.keras")
    (folder / "of_another_study").mkdir()
    found = run(kept, tmp_path, keep="best")
    assert len(found) == 3
    assert "of_another_study" in found
    for name in found[:2]:
        assert load_saved(folder / name).record.run_id == name


def test_a_run_has_a_keep_of_its_own(study):
    path = study('keep = "all"').path
    path.write_text(path.read_text() + 'keep = "last"\n')
    both = read_study(path)
    assert (both.keep, both.fixed["keep"]) == ("all", "last")
    with pytest.raises(
        ValueError, match=r"line 6: `keep` must be 'none', 'best' or 'all'"
    ):
        study('keep = "last"')


def test_a_study_without_models_explains_nothing(study):
    with pytest.raises(ValueError, match="`rates` has kept no model. "):
        explain_study(study(), Store())


def test_nothing_is_the_best_of_no_records(study):
    assert find_best(read_results(study(), Store())) is None
