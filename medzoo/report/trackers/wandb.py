"""Weights & Biases: a study is a group of the project `medzoo`.

Offline unless `WANDB_MODE` says otherwise; what was written is sent by

    wandb sync runs/wandb/wandb/offline-run-*
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medzoo.report.trackers import TrackedRun

PROJECT = "medzoo"


def open_tracker(study: str, folder: Path) -> "WandB":
    """Opens the folder of all studies."""
    (folder / "logged").mkdir(parents=True, exist_ok=True)
    return WandB(study, folder)


class WandB:
    """Runs by their id; a mark says that one was logged to its end.

    Args:
        folder: Where its files are.
    """

    def __init__(self, study: str, folder: Path) -> None:
        self._study = study
        self._folder = folder

    def has(self, entry: "TrackedRun") -> bool:
        """Whether a run was logged to its end."""
        return self._mark(entry.record.run_id).is_file()

    def log(self, entry: "TrackedRun") -> None:
        """Logs a run; one that was logged in part is logged anew."""
        run_id = f"{self._study}-{entry.record.run_id}"
        for path in self._folder.glob(f"wandb/*run-*-{run_id}"):
            shutil.rmtree(path)
        run = self._begin(
            run_id,
            name=entry.name,
            config=entry.config,
            tags=[f"{k}={v}"[:64] for k, v in entry.tags.items()],
        )
        for step, values in entry.curves:
            run.log(values, step=step)
        run.summary.update(entry.scores)
        run.finish(exit_code=0 if entry.record.status == "done" else 1)
        self._mark(entry.record.run_id).touch()

    def finish(self, report: Sequence[Path]) -> None:
        """Logs the figures, and keeps the files of the report."""
        import wandb

        run_id = f"{self._study}-report"
        for path in self._folder.glob(f"wandb/*run-*-{run_id}"):
            shutil.rmtree(path)
        run = self._begin(run_id, name="report")
        pictures = [path for path in report if path.suffix == ".png"]
        if pictures:
            run.log({p.stem: wandb.Image(str(p)) for p in pictures})
        for path in report:
            run.save(str(path), base_path=str(path.parent), policy="now")
        run.finish()

    def _begin(self, run_id: str, **about: Any) -> Any:
        import wandb

        return wandb.init(
            project=PROJECT,
            group=self._study,
            id=run_id,
            dir=str(self._folder),
            mode=os.environ.get("WANDB_MODE", "offline"),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
            **about,
        )

    def _mark(self, run_id: str) -> Path:
        return self._folder / "logged" / f"{self._study}-{run_id}"
