"""`medzoo export`: a model for another runtime, compared with its source."""

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medzoo.cli.model import Model

if TYPE_CHECKING:
    from medzoo.data.split import Dataset
    from medzoo.training.export import Exported, Predict
    from medzoo.training.saved import Saved

# Images that both runtimes are compared on, and that calibrate integers.
_COMPARED, _CALIBRATED = 64, 200


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
        typer.Option("--int8", help="8-bit integers, calibrated on train."),
    ] = False,
    task: Annotated[
        str | None, typer.Option(help="A task; the model's own if left out.")
    ] = None,
) -> None:
    """Write a model for another runtime, load it there, and compare."""
    import numpy as np

    from medzoo.training.export import export as export_model
    from medzoo.training.load import load_saved, load_task

    saved = load_saved(model, task)
    data = None
    if int8 or task is not None or saved.record is not None:
        _, data = load_task(saved, task)
        images = data.val.images[:_COMPARED]
    else:
        shape = (_COMPARED, *saved.input_shape)
        images = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    calibration = (
        data.train.images[:_CALIBRATED] if int8 and data is not None else None
    )
    found = export_model(
        saved, to=to, images=images, path=out, calibration=calibration
    )
    print(f"Wrote {found.path}")
    print(
        f"Largest difference of a logit: {found.difference:.2g} "
        f"(largest logit: {found.scale:.3g}; {len(images)} images)"
    )
    if int8 and data is not None:
        print(_word_loss(saved, found, data))


def _word_loss(saved: "Saved", found: "Exported", data: "Dataset") -> str:
    """Says what integers cost on val."""
    from medzoo.training.export import predict
    from medzoo.wording import word_score

    before = _score(saved, lambda images: predict(saved, images), data)
    after = _score(saved, found.predict, data)
    return "\n".join(
        f"On val {word_score(name)} was {before[name]:.4f} and is "
        f"{value:.4f} in integers"
        for name, value in after.items()
    )


def _score(
    saved: "Saved", predict: "Predict", data: "Dataset"
) -> dict[str, float]:
    """Scores what predicts on val: its labels, and its masks if it has any."""
    from medzoo.scores import macro_f1
    from medzoo.training.evaluate import to_probabilities
    from medzoo.training.segmentation import score_split

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
