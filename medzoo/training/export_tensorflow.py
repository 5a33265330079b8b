"""TFLite (LiteRT) files, which TensorFlow alone can write."""

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def write_tflite(
    model: "keras.Model", path: Path, calibration: np.ndarray | None
) -> None:
    """Writes a model in floats, or by calibration images in 8-bit integers.

    Either takes `uint8` images and returns `float32` logits.
    """
    import tensorflow as tf

    options: dict[str, Any] = {}
    if calibration is not None:

        def representatives() -> Iterator[list[np.ndarray]]:
            for image in calibration:
                yield [image[None]]

        options = {
            "optimizations": [tf.lite.Optimize.DEFAULT],
            "representative_dataset": representatives,
            "target_spec": {
                "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            },
        }
    model = _without_bicubic(model)
    model.export(path, format="litert", verbose=False, **options)


def _without_bicubic(model: "keras.Model") -> "keras.Model":
    """Resizes by products with fixed matrices, as LiteRT has no bicubic.

    Returns:
        A copy with the same weights; the model itself if it resizes nothing.
    """
    import keras

    found = []

    def clone(layer: "keras.Layer") -> "keras.Layer":
        config = layer.get_config()
        if (
            not isinstance(layer, keras.layers.Resizing)
            or config["interpolation"] != "bicubic"
        ):
            return type(layer).from_config(config)
        found.append(layer)
        return keras.layers.Lambda(_make_resizing(layer), name=layer.name)

    copy = keras.models.clone_model(model, clone_function=clone, recursive=True)
    if not found:
        return model
    copy.set_weights(model.get_weights())
    return copy


def _make_resizing(layer: "keras.Layer") -> Callable[[Any], Any]:
    """Makes the linear map of a layer that resizes images."""
    from keras import ops

    _, height, width, _ = layer.input.shape
    _, tall, wide, _ = layer.output.shape

    def measure(side: int, wanted: int) -> np.ndarray:
        rows = np.eye(side, dtype="float32")[None, :, None, :]
        scaled = ops.image.resize(
            ops.convert_to_tensor(rows), (wanted, 1), interpolation="bicubic"
        )
        return ops.convert_to_numpy(scaled)[0, :, 0, :]

    down, across = measure(height, tall).T, measure(width, wide).T

    def resize(images: Any) -> Any:
        # Matrices stand on the right: on the left, 8 bits of them give 0.
        x = ops.transpose(ops.cast(images, "float32"), (0, 2, 3, 1))
        x = ops.transpose(ops.matmul(x, down), (0, 3, 2, 1))
        return ops.transpose(ops.matmul(x, across), (0, 1, 3, 2))

    return resize


def load_tflite(path: Path) -> Callable[[np.ndarray], Any]:
    """Loads a file in LiteRT's runtime, or in the one within TensorFlow.

    Raises:
        ValueError: If the runtime refuses the file.
    """
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter
    else:
        from tensorflow.lite.python.interpreter import Interpreter

    with warnings.catch_warnings():
        # TensorFlow's own names its successor, which is used where it is.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter")
        interpreter = Interpreter(model_path=str(path), num_threads=1)
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        raise ValueError(
            f"LiteRT does not run `{path}` ({error}). In 8-bit integers this "
            "happens where a layer is 0 for all calibration images: pass other "
            "or more of them, or export in floats."
        ) from error
    runner = interpreter.get_signature_runner()
    (entry,) = runner.get_input_details()

    def predict(images: np.ndarray) -> Any:
        each = [runner(**{entry: image[None]}) for image in images]
        found = {k: np.concatenate([one[k] for one in each]) for k in each[0]}
        return found if len(found) > 1 else next(iter(found.values()))

    return predict
