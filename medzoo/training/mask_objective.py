"""What a run with masks minimises."""

from typing import TYPE_CHECKING

from medzoo.data.masks import MaskedDataset, count_pixels
from medzoo.data.split import Dataset
from medzoo.training.run import Run

if TYPE_CHECKING:
    import keras

    from medzoo.head_losses import HeadsLoss


def make_heads_loss(
    run: Run, data: MaskedDataset, label_loss: "keras.losses.Loss"
) -> "HeadsLoss":
    """Makes the loss of a run with masks."""
    from medzoo.head_losses import HeadsLoss
    from medzoo.mask_losses import MaskLoss

    options = run.options
    mask_loss = MaskLoss(
        str(options["mask_loss"]),
        data.num_segments,
        class_weights=weigh_segments(run, data),
    )
    return HeadsLoss(
        mask_loss,
        label_loss,
        mask_weight=float(options["mask_weight"]),
        label_weight=float(options["label_weight"]),
    )


def weigh_segments(run: Run, data: MaskedDataset) -> list[float] | None:
    """Returns the weight of each class of pixels, if a run asks for any."""
    if not run.options["mask_balance"]:
        return None
    from medzoo.imbalance import inverse_frequency

    return inverse_frequency(count_pixels(data))


def describe_segments(run: Run, data: Dataset) -> object:
    """Returns what a graph depends on beside images and labels, if anything."""
    if not isinstance(data, MaskedDataset):
        return None
    return data.num_segments, weigh_segments(run, data)
