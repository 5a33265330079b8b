"""What is measured: networks of the zoo, and images made for them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from medzoo.data.dataset import Dataset, MaskedDataset, MaskedSplit, Split
from medzoo.data.shapes import MASK_CLASSES, make_shapes
from medzoo.runs.run import Run
from medzoo.tasks import SHAPES

SHAPE, NUM_CLASSES = (28, 28, 3), 9


class Case(NamedTuple):
    """A network of the zoo, and the images that it sees."""

    model: str
    width: int
    side: int = 28
    batch_size: int = 128
    options: Mapping[str, Any] = {}  # noqa: RUF012 - nobody changes it

    @property
    def name(self) -> str:
        """What tables call it."""
        stem = (
            f", {self.options['stem']} stem" if "stem" in self.options else ""
        )
        size = f", {self.side} px" if self.side != 28 else ""
        return f"{self.model}, {self.width}{stem}{size}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image."""
        return self.side, self.side, 3


TRUNK = {"backbone": "mobilenet_025", "weights": "none", "freeze": "none"}
CASES = [
    *(Case("mlp", width) for width in (16, 32, 64, 512)),
    *(Case("skip_cnn", width) for width in (16, 24, 32, 64)),
    Case("skip_cnn", 32, options={"stem": "full"}),
    Case("unet", 8, side=128, batch_size=8),
    Case("transfer", 128, side=96, batch_size=32, options=TRUNK),
]


def make_data(case: Case, num_images: int) -> Dataset:
    """Makes random images, or shapes where masks are learnt, few of val."""
    if case.model == "unet":
        return make_masked(num_images, case.side, case.batch_size)
    return make_images(num_images, case.shape, case.batch_size)


def make_turn(case: Case, images_per_second: float, seconds: float) -> Dataset:
    """Makes the images of about so many seconds, in 4 to 128 whole batches."""
    steps = round(seconds * images_per_second) // case.batch_size
    return make_data(case, min(max(steps, 4), 128) * case.batch_size)


def make_masked(num_images: int, side: int, few: int = 16) -> MaskedDataset:
    """Makes shapes to train on, and few of val."""
    made = [
        make_shapes(seed, n, side) for seed, n in enumerate((num_images, few))
    ]
    train, val = (MaskedSplit(x, y, masks) for x, masks, y in made)
    return MaskedDataset(
        "shapes",
        SHAPES.classes,
        train,
        val,
        val,
        "made",
        mask_classes=MASK_CLASSES,
    )


def make_images(
    num_images: int, shape: tuple[int, int, int] = SHAPE, few: int = 128
) -> Dataset:
    """Makes random images of train, and few of val."""
    chance = np.random.default_rng(0)

    def split(count: int) -> Split:
        images = chance.integers(0, 256, (count, *shape), dtype="uint8")
        labels = chance.integers(0, NUM_CLASSES, count).astype("int32")
        return Split(images, labels)

    classes = tuple(map(str, range(NUM_CLASSES)))
    val = split(few)
    return Dataset("pathmnist", classes, split(num_images), val, val, "made")


def make_trainer(case: Case, data: Dataset) -> Any:
    """Makes what trains a run without an end, as a study would."""
    from medzoo.training.build import prepare_model
    from medzoo.training.execute import choose_trainer

    masked = case.model == "unet"
    run = Run(
        task=data.task,
        data="synthetic" if masked else "medmnist",
        size=case.side if masked else 28,
        model=case.model,
        width=case.width,
        options={"mask_loss": "cross_entropy"} if masked else case.options,
        loss="cross_entropy",
        batch_size=case.batch_size,
        epochs=1000,
    )
    return choose_trainer(data)(prepare_model(run, data), data, run)
