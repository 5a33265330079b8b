"""MLflow: a study is an experiment, a run is a run.

They go to `MLFLOW_TRACKING_URI`, else into `runs/mlflow/mlflow.db`:

    mlflow server --backend-store-uri sqlite:///runs/mlflow/mlflow.db
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from medzoo.report.trackers import TrackedRun

# What MLflow takes in one call.
_BATCH = 900


def open_tracker(study: str, folder: Path) -> "MLflow":
    """Opens the experiment of a study, and makes it if need be."""
    # A server that does not answer is given up in seconds, not in minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    uri = os.environ.get("MLFLOW_TRACKING_URI")
    artifacts = None
    if uri is None:
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.absolute()
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        artifacts = (folder / "artifacts" / study).as_uri()
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(study)
    if found is not None:
        return MLflow(client, found.experiment_id)
    made = client.create_experiment(study, artifact_location=artifacts)
    return MLflow(client, made)


class MLflow:
    """An experiment; runs are identified by their tag `run_id`.

    Args:
        client: Of the server or database.
        experiment: Its id.
    """

    def __init__(self, client: "MlflowClient", experiment: str) -> None:
        self._client = client
        self._experiment = experiment

    def has(self, entry: "TrackedRun") -> bool:
        """Whether a run is logged to its end."""
        found = self._find(entry.record.run_id)
        return any(run.info.status != "RUNNING" for run in found)

    def log(self, entry: "TrackedRun") -> None:
        """Logs a run; one that was logged in part is logged anew."""
        from mlflow.entities import Metric, Param

        for run in self._find(entry.record.run_id):
            self._client.delete_run(run.info.run_id)
        made = self._client.create_run(
            self._experiment, run_name=entry.name, tags=entry.tags
        )
        key = made.info.run_id
        last = entry.curves[-1][0] if entry.curves else 0
        metrics = [
            Metric(_name(tag), value, made.info.start_time, step)
            for step, found in [*entry.curves, (last, entry.scores)]
            for tag, value in found.items()
        ]
        params = [Param(k, str(v)) for k, v in entry.config.items()]
        self._client.log_batch(key, params=params)
        for start in range(0, len(metrics), _BATCH):
            batch = metrics[start : start + _BATCH]
            self._client.log_batch(key, metrics=batch)
        done = entry.record.status == "done"
        self._client.set_terminated(key, "FINISHED" if done else "FAILED")

    def finish(self, report: Sequence[Path]) -> None:
        """Keeps the files of the report with a run called `report`."""
        found = self._find("report")
        run = (
            found[0]
            if found
            else self._client.create_run(
                self._experiment, run_name="report", tags={"run_id": "report"}
            )
        )
        for path in report:
            self._client.log_artifact(run.info.run_id, str(path))
        self._client.set_terminated(run.info.run_id, "FINISHED")

    def _find(self, run_id: str) -> list[Any]:
        return list(
            self._client.search_runs(
                [self._experiment], filter_string=f"tags.run_id = '{run_id}'"
            )
        )


def _name(tag: str) -> str:
    """Keeps to the characters that MLflow takes."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in tag)
