"""A record: what came out of a run."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from medzoo.training.run import Run


class Parameters(BaseModel):
    """Counts of weights; `total` includes frozen ones and statistics."""

    total: int
    trainable: int


class Record(BaseModel):
    """The stored result of one run.

    Args:
        run: The run itself.
        run_id: Its id, as a key for people and files.
        status: `done`; `diverged` if the loss became NaN or infinite; `failed`
            if an error ended it; `trained` if all but the labels of test was
            read; `pruned` if it was stopped on the way. The last two are
            candidates of `[tuned]`, and neither done nor failed.
        scores: By split (`val`, `test`), then by score (`macro_f1`, ...).
        without: Scores by split as if one option of the run that acts after
            training (`ema`, `flip_test`, `adjust`) were off, by that option.
        per_class_f1: By split, one value a class.
        history: One entry a check on val: `step`, `epoch`, `loss`, `val_loss`,
            `val_macro_f1`, `val_accuracy`, `learning_rate`.
        best_step: Step whose weights were evaluated.
        parameters: Total and trainable weights.
        width: Width that the model was built with.
        seconds: By part: `build`, `first_step`, `train`, `evaluate`, `total`.
        images_per_second: Of training, after the first step.
        peak_memory_mb: Largest resident memory of the process so far.
        num_images: By split.
        device: What it ran on, such as `cpu`.
        versions: By package.
        data_fingerprint: Identifies the images, labels and splits used.
        notes: What tables have to say about the data.
        classes: Names of the classes.
        started: Time of the start, ISO 8601, UTC.
        error: For a failed run: `{"type", "message", "traceback"}`.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    run: Run
    run_id: str
    status: Literal["done", "diverged", "failed", "trained", "pruned"]
    scores: dict[str, dict[str, float | None]] = {}
    without: dict[str, dict[str, dict[str, float | None]]] = {}
    per_class_f1: dict[str, list[float]] = {}
    history: list[dict[str, float | None]] = []
    best_step: int | None = None
    parameters: Parameters | None = None
    width: int | None = None
    seconds: dict[str, float] = {}
    images_per_second: float | None = None
    peak_memory_mb: float | None = None
    num_images: dict[str, int] = {}
    device: str = ""
    versions: dict[str, str] = {}
    data_fingerprint: str = ""
    notes: list[str] = []
    classes: list[str] = []
    started: str = ""
    error: dict[str, Any] | None = None
