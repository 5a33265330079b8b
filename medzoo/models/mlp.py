"""The baseline: every pixel into three hidden layers."""

from keras import Model, layers

from medzoo.models.blocks import images_input, logits_head


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    width: int = 512,
    activation: str = "relu",
    augmentation: str = "none",
    dropout: float = 0.0,
) -> Model:
    """Builds a flattened multi-layer perceptron.

    Args:
        num_classes: Number of logits.
        input_shape: `(height, width, channels)`.
        width: Units of the first hidden layer; the second has half of them and
            the third a quarter. 512 gives 512-256-128.
        activation: Activation of the hidden layers.
        augmentation: A preset of `medzoo.models.augmentation`.
        dropout: Share of the last features dropped in training.

    Returns:
        A model from `uint8` images to logits `(batch, num_classes)`.

    Example:

    >>> build(9, input_shape=(28, 28, 3)).count_params()
    1370121
    """
    inputs, x = images_input(input_shape, augmentation)
    x = layers.Flatten(name="flatten")(x)
    for index, units in enumerate((width, width // 2, width // 4), start=1):
        x = layers.Dense(
            max(1, units), activation=activation, name=f"hidden_{index}"
        )(x)
    logits = logits_head(x, num_classes, dropout=dropout)
    return Model(inputs, logits, name="mlp")
