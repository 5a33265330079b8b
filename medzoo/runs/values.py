"""Types of the values that a run is made from, for editors and checkers."""

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

# A name, or a function as `medzoo.register_model` and its like take it.
NameOrFunction = str | Callable[..., Any]


class RunValues(TypedDict, total=False):
    """Fields of a run but its task, and options of all models beside them.

    `medzoo.runs.fields` and `medzoo.models.options` declare them. Functions,
    objects of Keras and data in memory stand in the place of their names.
    """

    recipe: str
    data: Any  # An address, or a `medzoo.Dataset`.
    data_options: Mapping[str, str | bool | int | float | tuple[str, ...]]
    size: int
    max_images: int | None
    resplit: bool
    model: NameOrFunction
    width: int | None
    parameters: int | None
    activation: NameOrFunction
    output: str
    augmentation: NameOrFunction
    mix: str
    loss: Any  # Also an object of Keras, as the optimizer.
    loss_weight: float
    imbalance: str
    optimizer: Any
    learning_rate: float | None
    weight_decay: float | None
    schedule: NameOrFunction
    warmup: float
    batch_size: int
    epochs: int | None
    steps: int | None
    patience: int | None
    keep: str
    batch_statistics: str
    precision: str
    ema: float
    flip_test: bool
    adjust: str
    seed: int
    # Options of models.
    alpha: float
    backbone: str
    block_type: str
    blocks: int
    dropout: float
    film: bool
    freeze: str
    head: str
    head_first: float
    hidden: str
    label_weight: float
    levels: int
    mask_balance: bool
    mask_loss: str
    mask_weight: float
    members: int
    norm: str
    pad: bool
    pool: str
    resize: int
    squeeze_excite: bool
    stages: int
    stem: str
    strength: float
    taps: str
    task_weighting: str
    trunk: str
    trunk_rate: float
    upsample: str
    views: str
    weights: str
