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

    Images go in as `uint8` and logits come out as `float32` in either case.
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
    model.export(path, format="litert", verbose=False, **options)


def load_tflite(path: Path) -> Callable[[np.ndarray], Any]:
    """Loads a file in LiteRT's runtime, or in the one within TensorFlow.

    XNNPACK takes no integers of a layer that is silent on all calibration
    images, since its range is none; the runtime's own kernels do. They are used
    with a warning, since whoever runs the file has to choose them too.
    """
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    else:
        from tensorflow.lite.python.interpreter import (
            Interpreter,
            OpResolverType,
        )

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        warnings.warn(
            f"XNNPACK does not take `{path}` ({error}): a layer is silent on "
            "all calibration images. Run it without default delegates.",
            stacklevel=2,
        )
        interpreter = Interpreter(
            model_path=str(path),
            num_threads=1,
            experimental_op_resolver_type=(
                OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            ),
        )
        interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    (entry,) = runner.get_input_details()

    def predict(images: np.ndarray) -> Any:
        each = [runner(**{entry: image[None]}) for image in images]
        found = {k: np.concatenate([one[k] for one in each]) for k in each[0]}
        return found if len(found) > 1 else next(iter(found.values()))

    return predict
