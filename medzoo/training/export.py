"""Models for other runtimes, each loaded there and compared with its source."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medzoo.training.evaluate import predict_logits
from medzoo.training.saved import Saved

# What each format needs, under any backend, and how its files end.
PACKAGES = {
    "savedmodel": ("tensorflow",),
    "tflite": ("tensorflow",),
    "onnx": ("tensorflow", "tf2onnx", "onnxruntime"),
}
_ENDINGS = {"savedmodel": "_savedmodel", "tflite": ".tflite", "onnx": ".onnx"}
Predict = Callable[[np.ndarray], np.ndarray]


class Exported(NamedTuple):
    """A file that another runtime has loaded.

    Args:
        path: Where it lies.
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
        calibration: Images by which weights and activations are turned into
            8-bit integers; only for `tflite`, which stays in floats without.

    Raises:
        ValueError: If a package is missing, or the format does not fit.
    """
    if saved.has_masks:
        raise ValueError(
            f"`{saved.path}` has two heads, and other runtimes are given one. "
            "Expected a model that classifies alone."
        )
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
    path = path or saved.path.with_name(f"{saved.path.stem}{_ENDINGS[to]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    # First: Keras exports no model to ONNX that was not called.
    expected = predict_logits(saved.model, images)
    _write(saved, path, to, calibration)
    predict = _load(path, to)
    difference = np.abs(predict(images) - expected).max()
    scale = np.abs(expected).max()
    return Exported(path, predict, float(difference), float(scale))


def _write(
    saved: Saved, path: Path, to: str, calibration: np.ndarray | None
) -> None:
    if to == "tflite":
        from medzoo.training.export_tensorflow import write_tflite

        write_tflite(saved.model, path, calibration)
        return
    if path.is_dir():
        shutil.rmtree(path)  # Keras would refuse to replace a SavedModel.
    kind = {"savedmodel": "tf_saved_model", "onnx": "onnx"}[to]
    saved.model.export(path, format=kind, verbose=False)


def _load(path: Path, to: str) -> Predict:
    if to == "tflite":
        from medzoo.training.export_tensorflow import load_tflite

        return load_tflite(path)
    if to == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"]
        )
        name = session.get_inputs()[0].name
        return lambda images: session.run(None, {name: images})[0]
    import keras

    layer = keras.layers.TFSMLayer(path, call_endpoint="serve")
    return lambda images: keras.ops.convert_to_numpy(layer(images))
