"""The baseline: every pixel into three hidden layers."""

from keras import Model, layers

from medzoo.models.layers import images_input, logits_head


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    width: int = 512,
    activation: str = "relu",
    augmentation: str = "none",
    dropout: float = 0.0,
    hidden: str = "",
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
        hidden: Units of the hidden layers in place of those that `width` gives,
            such as `1024-512-512-256-128`.

    Returns:
        A model from `uint8` images to logits `(batch, num_classes)`.

    Raises:
        ValueError: If `hidden` is not numbers joined by `-`.

    Example:

    >>> build(9, input_shape=(28, 28, 3)).count_params()
    1370121
    """
    inputs, x = images_input(input_shape, augmentation)
    x = layers.Flatten(name="flatten")(x)
    for index, units in enumerate(_hidden_units(width, hidden), start=1):
        x = layers.Dense(units, activation=activation, name=f"hidden_{index}")(
            x
        )
    logits = logits_head(x, num_classes, dropout=dropout)
    return Model(inputs, logits, name="mlp")


def _hidden_units(width: int, hidden: str) -> list[int]:
    if not hidden:
        return [max(1, width // divisor) for divisor in (1, 2, 4)]
    try:
        units = [int(part) for part in hidden.split("-")]
    except ValueError:
        units = [0]
    if min(units) < 1:
        raise ValueError(
            "`hidden` must be units of layers joined by `-`, such as "
            f"512-256-128. Received: hidden={hidden!r}."
        )
    return units
