"""Runs of a study that are to be scored on corrupted test images."""

from collections.abc import Collection, Iterable, Sequence

from medzoo.execution.job import Job
from medzoo.record import MODEL
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.study.kept_models import find_folder
from medzoo.study.spec import Study
from medzoo.training.features import leaves_model


def with_corruptions(study: Study, jobs: Sequence[Job]) -> list[Job]:
    """Returns jobs that score corrupted images, where their study says so."""
    return [
        job._replace(
            corruptions=study.corruptions
            and job.read_test
            and leaves_model(job.run)
        )
        for job in jobs
    ]


def find_unscored(study: Study, runs: Iterable[Run], store: Store) -> list[Run]:
    """Lists runs that are done, but were not scored on corrupted images.

    None of a study that does not ask for it, and no run without a model.
    """
    return [
        run
        for run in dict.fromkeys(runs if study.corruptions else ())
        if leaves_model(run)
        and store.status(run.run_id) == "done"
        and not store.has_corrupted(run.run_id)
    ]


def list_scorable(
    study: Study,
    runs: Iterable[Run],
    store: Store,
    *,
    smoke: bool,
    tried: Collection[Run] = (),
) -> list[Job]:
    """Lists jobs that score what the kept models of a study make of them.

    Args:
        runs: Of the study.
        tried: Those whose jobs were executed just now.
    """
    folder = find_folder(study, store, smoke=smoke)
    found = [
        Job(run, model=str(folder / run.run_id / MODEL))
        for run in find_unscored(study, runs, store)
        if run not in tried and (folder / run.run_id / MODEL).is_file()
    ]
    return with_corruptions(study, found)


def list_awaited(
    study: Study, runs: Iterable[Run], store: Store, *, smoke: bool
) -> list[Run]:
    """Lists runs that the study will score: those left, and kept models."""
    if not study.corruptions:
        return []
    runs = dict.fromkeys(filter(leaves_model, runs))
    ended = ("done", "diverged")
    left = [run for run in runs if store.status(run.run_id) not in ended]
    kept = list_scorable(study, runs, store, smoke=smoke)
    return left + [job.run for job in kept]


def describe_unscored(
    study: Study, runs: Iterable[Run], store: Store, *, smoke: bool
) -> str:
    """Words how many runs lack scores of corrupted images, if any do."""
    runs = list(runs)
    missing = len(find_unscored(study, runs, store))
    if not missing:
        return ""
    kept = len(list_scorable(study, runs, store, smoke=smoke))
    return (
        f"Done without scores on corrupted images: {missing}. Those with a "
        f"kept model, {kept}, are scored without training; the others stay "
        "without, as runs that are done are not trained again (set "
        "MEDZOO_RUNS to another folder to train all of them)."
    )
