"""The command `medzoo export`: a model for another runtime, compared there."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medzoo.cli.scope import Model, ModelData, PluginFiles
from medzoo.messages import echo

if TYPE_CHECKING:
    from medzoo.data.dataset import Dataset
    from medzoo.training.export import Exported, Predict
    from medzoo.training.saved import Saved

# Images that both runtimes are compared on, and that calibrate integers.
_COMPARED, _CALIBRATED = 64, 200
# Of a score on val, before a model of integers is warned of.
_MOST_LOST = 0.05


def export(
    model: Model,
    to: Annotated[
        Literal["savedmodel", "tflite", "onnx"],
        typer.Option(help="The format to write."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where; beside the model if left out.")
    ] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="8-bit integers, calibrated on 200 images of train, drawn by "
            "class.",
        ),
    ] = False,
    task: Annotated[
        str | None, typer.Option(help="A task; the model's own if left out.")
    ] = None,
    data: ModelData = None,
    plugin: PluginFiles = None,
) -> None:
    """Write a model for another runtime, load it there, and compare.

    The comparison is on images of val, drawn by class, or on random ones where
    the data are not at hand; a JSON file beside the model says so.
    """
    import numpy as np

    from medzoo.data.splits import take_stratified
    from medzoo.files import require_output
    from medzoo.training.export import export as export_model
    from medzoo.training.export import find_path
    from medzoo.training.saved import load_saved

    if out is not None:
        require_output(out, folder=to == "savedmodel")
    saved = load_saved(model, task, plugin or ())
    path = out or find_path(saved, to)
    require_output(path, folder=to == "savedmodel")
    found = _load(saved, task, data, needed=int8 or data is not None)
    calibration = None
    if found is None:
        shape = (_COMPARED, *saved.input_shape)
        images = np.random.default_rng(0).integers(0, 256, shape, "uint8")
        what = "random images"
    else:
        images = take_stratified(found.val, _COMPARED, seed=0).images
        what = "images of val"
    if int8 and found is not None:
        calibration = take_stratified(found.train, _CALIBRATED, seed=0)
    exported = export_model(
        saved,
        to=to,
        images=np.asarray(images),
        path=path,
        calibration=None if calibration is None else calibration.images,
    )
    about: dict[str, Any] = {
        "format": to,
        "run_id": saved.record.run_id if saved.record else None,
        "compared_on": f"{len(images)} {what}",
        "largest_difference_of_a_logit": exported.difference,
        "largest_logit": exported.scale,
    }
    echo(f"Wrote {exported.path}")
    echo(
        f"Largest difference of a logit: {exported.difference:.2g} "
        f"(largest logit: {exported.scale:.3g}; {len(images)} {what})"
    )
    if calibration is not None and found is not None:
        counts = _count(calibration.labels, saved.classes)
        about["calibrated_on_images_of_train"] = counts
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        echo(f"Calibrated on {len(calibration)} images of train: {shown}")
        about["val"] = _compare_scores(saved, exported, found)
        echo(_format_scores(about["val"]))
        if any(was - now > _MOST_LOST for was, now in about["val"].values()):
            echo(
                "Warning: integers do not suit this model. Export it without "
                "--int8.",
                file=sys.stderr,
            )
    _write(path.with_name(f"{path.name}.json"), about)


def _load(
    saved: "Saved", task: str | None, data: str | None, *, needed: bool
) -> "Dataset | None":
    """Loads the data of a model, if they are at hand or needed."""
    from medzoo.training.saved import load_task

    if not needed and task is None and saved.record is None:
        return None
    try:
        return load_task(saved, task, data=data, download=needed)[1]
    except (FileNotFoundError, ValueError) as error:
        if needed:
            raise
        echo(f"Without the data of the training: {error}", file=sys.stderr)
        return None


def _count(labels: Any, classes: list[str]) -> dict[str, int]:
    import numpy as np

    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def _write(path: Path, about: dict[str, Any]) -> None:
    from medzoo.files import replacing, writing
    from medzoo.messages import encode_text

    text = json.dumps(about, indent=1, ensure_ascii=False)
    with writing(path), replacing(path) as part:
        part.write_bytes(encode_text(text + "\n"))


def _compare_scores(
    saved: "Saved", found: "Exported", data: "Dataset"
) -> dict[str, tuple[float, float]]:
    """Returns scores on val in floats and in integers."""
    from medzoo.training.export import predict

    before = _score(saved, lambda images: predict(saved, images), data)
    after = _score(saved, found.predict, data)
    return {name: (before[name], value) for name, value in after.items()}


def _format_scores(scores: dict[str, tuple[float, float]]) -> str:
    """Says what integers cost on val."""
    from medzoo.scores.table import format_score

    return "\n".join(
        f"On val {format_score(name)} was {before:.4f} and is {after:.4f} in "
        "integers"
        for name, (before, after) in scores.items()
    )


def _score(
    saved: "Saved", predict: "Predict", data: "Dataset"
) -> dict[str, float]:
    """Scores what predicts on val: its labels, and its masks if it has any."""
    from medzoo.scores.probabilities import macro_f1
    from medzoo.training.objectives.masks import score_split
    from medzoo.training.predict import to_probabilities

    output = saved.record.run.output if saved.record else "softmax"
    val: Any = data.val
    if not saved.has_masks:
        logits: Any = predict(val.images)
        return {
            "macro_f1": macro_f1(to_probabilities(logits, output), val.labels)
        }
    model: Any = SimpleNamespace(predict_on_batch=predict)
    found = score_split(model, val, output=output)
    scores = {} if found is None else found.scores
    told = {name: scores.get(name) for name in ("dice", "macro_f1")}
    return {name: value for name, value in told.items() if value is not None}
