"""`medzoo export`: a model for another runtime, compared with its source."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from medzoo.cli.model import Model

if TYPE_CHECKING:
    from medzoo.data.split import Dataset
    from medzoo.training.export import Exported
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
    from medzoo.training.saved import load_saved, load_task

    saved = load_saved(model)
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
    from medzoo.scores import macro_f1
    from medzoo.training.evaluate import predict_logits, to_probabilities

    images, labels = data.val.images, data.val.labels
    before, after = (
        macro_f1(to_probabilities(logits), labels)
        for logits in (
            predict_logits(saved.model, images),
            found.predict(images),
        )
    )
    return f"Macro F1 on val: {before:.4f} before, {after:.4f} in integers"
