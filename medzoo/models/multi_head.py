"""One net for several tasks: a backbone of the zoo and a head for each."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import KerasTensor, Model, layers, ops

from medzoo.models.registry import build_model


def build(
    num_classes: int | Sequence[int],
    *,
    input_shape: tuple[int, int, int],
    width: int = 32,
    activation: str = "relu",
    augmentation: str = "none",
    trunk: str = "skip_cnn",
    film: bool = False,
    **options: Any,
) -> Model:
    """Builds a backbone under linear heads that share one axis of logits.

    The heads are one matrix product, whatever the number of tasks: each owns a
    range of the axis. With one task and without `film`, it is the model of
    its backbone, weight for weight.

    Args:
        num_classes: Number of classes of each task, in the order of the axis.
        input_shape: `(height, width, channels)`; 3 channels if any task has.
        width: Width of the backbone.
        activation: Activation of the hidden layers.
        augmentation: A preset of `medzoo.models.augmentation`.
        trunk: Name of the backbone in the zoo.
        film: Gives the backbone the task of each image, by which `FeatureWise`
            scales and shifts the output of every hidden activation that all
            paths go through.
        **options: Options of the backbone.

    Returns:
        A model from `uint8` images to logits `(batch, sum of num_classes)`.
        With `film` its inputs are `images` and `tasks`, the index of the task
        of each image, shape `(batch,)`.

    Raises:
        ValueError: For `film` on a backbone without such an activation.

    Example:

    >>> build([8, 2], input_shape=(28, 28, 3), width=8).output_shape
    (None, 10)
    """
    heads = [num_classes] if isinstance(num_classes, int) else num_classes
    net = build_model(
        trunk,
        sum(heads),
        input_shape=input_shape,
        width=width,
        activation=activation,
        augmentation=augmentation,
        **options,
    )
    if not film:
        return Model(net.input, net.output, name="multi_head")
    joints = _joints(net)
    if not joints:
        raise ValueError(
            f"`{trunk}` has no hidden activation through which all paths go, "
            "so its features cannot be scaled by task. Expected film=False. "
            "Received: film=True."
        )
    tasks = layers.Input((), dtype="int32", name="tasks")
    x, start = net.input, net.input
    for number, end in enumerate(joints, start=1):
        x = Model(start, end, name=f"backbone_{number}")(x)
        x = FeatureWise(len(heads), name=f"film_{number}")(x, tasks)
        start = end
    logits = Model(start, net.output, name="head")(x)
    inputs = {"images": net.input, "tasks": tasks}
    return Model(inputs, logits, name="multi_head")


@keras.saving.register_keras_serializable(package="medzoo")
class FeatureWise(layers.Layer):
    """Scales and shifts every channel by values of the image's task.

    `y = gamma[task] x + beta[task]`, which begins as the identity.

    Reference:

    - [Perez et al., 2018](https://arxiv.org/abs/1709.07871), FiLM.
    """

    def __init__(self, num_tasks: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_tasks = num_tasks

    def build(self, input_shape: Any) -> None:
        shape = (self.num_tasks, input_shape[-1])
        self.gamma = self.add_weight(shape, "ones", name="gamma")
        self.beta = self.add_weight(shape, "zeros", name="beta")

    def call(self, x: Any, tasks: Any) -> Any:
        shape = (-1, *[1] * (len(x.shape) - 2), x.shape[-1])
        gamma, beta = (
            ops.reshape(ops.take(values, tasks, axis=0), shape)
            for values in (self.gamma, self.beta)
        )
        return ops.cast(gamma, x.dtype) * x + ops.cast(beta, x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_tasks": self.num_tasks}


def take_head(
    model: Model, task: int, classes: range, *, channels: int
) -> Model:
    """Takes one task out of a net of several.

    Args:
        model: As `build` returns it.
        task: Index of the task.
        classes: Its range on the axis of logits.
        channels: Of its images: 1 or 3; grey ones are repeated.

    Returns:
        A model from `uint8` images to the logits of the task, with the weights
        of `model`; it can be saved by itself.
    """
    inputs = model.input["images"] if _has_tasks(model) else model.input
    images = layers.Input(
        (*inputs.shape[1:3], channels), dtype="uint8", name="images"
    )
    repeats = inputs.shape[-1] // channels
    x = layers.Concatenate()([images] * repeats) if repeats > 1 else images
    if _has_tasks(model):
        x = {"images": x, "tasks": ops.full_like(x[:, 0, 0, 0], task, "int32")}
    return Model(images, _slice(model(x), classes), name="head_of_task")


def name_heads(model: Model, classes: Mapping[str, range]) -> Model:
    """Gives a net of several tasks an output a task, by name.

    Args:
        model: As `build` returns it.
        classes: Range of each task on the axis of logits, by its name.

    Returns:
        A model from the inputs of `model` to a dictionary of logits.
    """
    logits = model(model.input)
    outputs = {name: _slice(logits, part) for name, part in classes.items()}
    return Model(model.input, outputs, name="multi_head")


def _has_tasks(model: Model) -> bool:
    return isinstance(model.input, dict)


def _slice(logits: KerasTensor, classes: range) -> KerasTensor:
    return logits[:, classes.start : classes.stop]


def _joints(net: Model) -> list[KerasTensor]:
    """Finds the outputs of hidden activations through which all paths go."""
    found = []
    for layer in net.layers[:-1]:
        activation = getattr(layer, "activation", None)
        if isinstance(layer, layers.ReLU) or activation not in (
            None,
            keras.activations.linear,
        ):
            try:
                Model(layer.output, net.output)
            except ValueError:  # A skip goes past it.
                continue
            found.append(layer.output)
    return found
