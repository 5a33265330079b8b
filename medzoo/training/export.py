"""Models in the formats of other runtimes, compared with their source."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medzoo.files import filling, replacing, writing
from medzoo.messages import printable
from medzoo.training.objectives.masks import each_batch
from medzoo.training.predict import predict_logits
from medzoo.training.saved import Saved

# Packages that each format needs, under any backend.
PACKAGES = {
    "savedmodel": ("tensorflow",),
    "tflite": ("tensorflow",),
    "onnx": ("tensorflow", "tf2onnx", "onnxruntime"),
}
_ENDINGS = {"savedmodel": "_savedmodel", "tflite": ".tflite", "onnx": ".onnx"}
# Those of one head, or those of `mask` and `label`.
Logits = np.ndarray | dict[str, np.ndarray]
Predict = Callable[[np.ndarray], Logits]


class Exported(NamedTuple):
    """A file that another runtime has loaded.

    Args:
        path: The file.
        predict: From `uint8` images to logits, by that runtime.
        difference: Largest difference of a logit to the model's.
        scale: Largest absolute logit of the model on the same images.
    """

    path: Path
    predict: Predict
    difference: float
    scale: float


def export(
    saved: Saved,
    *,
    to: str,
    images: np.ndarray,
    path: Path | None = None,
    calibration: np.ndarray | None = None,
) -> Exported:
    """Writes a model in another format and loads it in that format's runtime.

    Args:
        saved: The model.
        to: `savedmodel`, `tflite` or `onnx`. All take `uint8` images and give
            logits, with preprocessing inside.
        images: Images to compare both on, `uint8`, in the model's shape.
        path: Where to write; beside the model if left out.
        calibration: Images to quantize by, to 8-bit integers; for `tflite`.

    Raises:
        ValueError: If a package is missing, or the format does not fit.
    """
    for package in PACKAGES[to]:
        if importlib.util.find_spec(package) is None:
            raise ValueError(
                f"Export to {to} needs the package `{package}`, which is not "
                "installed. Run `pip install 'medzoo[export]'`."
            )
    if calibration is not None and to != "tflite":
        raise ValueError(
            f"Only tflite is made of 8-bit integers. Received: to={to!r}."
        )
    path = path or find_path(saved, to)
    if printable(path) != printable(path, keep_bytes=True):
        raise ValueError(
            "Other runtimes read paths in UTF-8 alone. Expected such a path "
            f"(--out). Received: {path}."
        )
    # First: Keras exports no model to ONNX that was not called.
    expected = _by_head(predict(saved, images))
    with writing(path):
        _write(saved, path, to, calibration)
    loaded = _load(path, to)
    found = _by_head(loaded(images))
    difference = max(abs(found[k] - expected[k]).max() for k in expected)
    scale = max(abs(logits).max() for logits in expected.values())
    return Exported(path, loaded, float(difference), float(scale))


def find_path(saved: Saved, to: str) -> Path:
    """Names the exported file of a model, beside the model."""
    return saved.path.with_name(f"{saved.path.stem}{_ENDINGS[to]}")


def predict(saved: Saved, images: np.ndarray) -> Logits:
    """Predicts logits, of each head if there are several."""
    if not saved.has_masks:
        return predict_logits(saved.model, images)
    batches = [batch for _, batch in each_batch(saved.model, images)]
    return {
        head: np.concatenate([batch[head] for batch in batches])
        for head in batches[0]
    }


def _by_head(logits: Logits) -> dict[str, np.ndarray]:
    return logits if isinstance(logits, dict) else {"label": logits}


def _write(
    saved: Saved, path: Path, to: str, calibration: np.ndarray | None
) -> None:
    """Writes a file or folder that is whole, in the place of an earlier one."""
    if to == "savedmodel":
        with filling(path) as part:
            saved.model.export(part, format="tf_saved_model", verbose=False)
            if path.is_dir():
                shutil.rmtree(path)
        return
    with replacing(path, ending=path.suffix) as part:
        if to == "tflite":
            from medzoo.training.export_tensorflow import write_tflite

            write_tflite(saved.model, part, calibration)
        else:
            saved.model.export(part, format="onnx", verbose=False)


def _load(path: Path, to: str) -> Predict:
    if to == "tflite":
        from medzoo.training.export_tensorflow import load_tflite

        return load_tflite(path)
    if to == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"]
        )
        entry = session.get_inputs()[0].name
        heads = [each.name for each in session.get_outputs()]

        def predict(images: np.ndarray) -> Logits:
            found = session.run(None, {entry: images})
            return (
                dict(zip(heads, found, strict=True)) if found[1:] else found[0]
            )

        return predict
    import keras

    layer = keras.layers.TFSMLayer(path, call_endpoint="serve")
    return lambda images: keras.tree.map_structure(
        keras.ops.convert_to_numpy, layer(images)
    )
