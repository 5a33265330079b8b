"""The folder of trained models of a study, and the jobs that save them."""

from collections.abc import Sequence
from pathlib import Path

from medzoo.execution.job import Job
from medzoo.record import MODEL
from medzoo.store import Store
from medzoo.study.spec import Study
from medzoo.training.features import is_cacheable


def name_folder(study: Study, *, smoke: bool = False) -> str:
    """Names the folder of the models of a study in its store.

    It has one folder a run. Studies share records, but not models: what one of
    them no longer needs may be the best of another.
    """
    return f"models/{study.folder_name(smoke=smoke)}"


def find_folder(study: Study, store: Store, *, smoke: bool = False) -> Path:
    """Returns the folder of the models of a study."""
    return store.folder / name_folder(study, smoke=smoke)


def with_models(jobs: Sequence[Job], folder: Path) -> list[Job]:
    """Returns jobs that save their models.

    Heads on a frozen backbone are the exception: their models are mostly the
    backbone, and training a head again takes less time than saving it.
    """
    return [
        job
        if is_cacheable(job.run)
        else job._replace(model=str(folder / job.run.run_id / MODEL))
        for job in jobs
    ]
