"""Options of the models: one declaration each, readable without Keras."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from medzoo.messages import FieldError, unknown
from medzoo.models.backbones import BackboneNames, get_backbone

Value = str | bool | int | float
# What a field or an option of a run changes: the data, the traced graph, only
# constants of the graph, the number of steps, the course of training (values
# of variables, the order of images, which weights are kept), or what is done
# with a trained model.
Affects = Literal[
    "data", "graph", "constants", "budget", "course", "evaluation"
]


@dataclass(frozen=True)
class Option:
    """An option of a model.

    Args:
        default: Its value if it is left out, which decides its type.
        description: What it is, in a line.
        choices: Names that it may take; any if empty.
        low: The least value.
        high: The greatest value.
        above: What the value must be greater than.
        below: What the value must be less than.
        affects: What it changes in a run.
        in_builder: Whether the model's builder takes it; if not, its training
            does.
        quiet: Whether tables leave it out where it has its default.
    """

    default: Value
    description: str
    choices: Collection[str] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    affects: Affects = "graph"
    in_builder: bool = True
    quiet: bool = False

    def check(self, name: str, value: Any) -> None:
        """Checks type, name or range of a value.

        Raises:
            FieldError: If it is another.
        """
        kind = type(self.default)
        if type(value) not in ((int, float) if kind is float else (kind,)):
            raise FieldError(
                f"Option `{name}` must be of type {kind.__name__}. "
                f"Received: {name}={value!r}.",
                name,
            )
        if self.choices and value not in self.choices:
            raise FieldError(unknown(name, value, self.choices), name)
        bounds = {
            f"at least {self.low}": self.low is None or value >= self.low,
            f"above {self.above}": self.above is None or value > self.above,
            f"at most {self.high}": self.high is None or value <= self.high,
            f"less than {self.below}": self.below is None or value < self.below,
        }
        if not all(bounds.values()):
            asked = [text for text in bounds if not text.endswith("None")]
            raise FieldError(
                f"`{name}` must be {' and '.join(asked)}. "
                f"Received: {name}={value}.",
                name,
            )


Options = Mapping[str, Option]


def check_options(options: Options, values: Mapping[str, Any]) -> None:
    """Checks each given value by itself.

    Raises:
        FieldError: For an unknown option or a wrong value.

    Example:

    >>> check_options(UNET_OPTIONS, {"levels": 4, "norm": "group"})
    """
    for name, value in values.items():
        if name not in options:
            raise FieldError(unknown("option", name, options), name)
        options[name].check(name, value)


MLP_OPTIONS: Options = {
    "dropout": Option(
        0.0, "Share of activations that are dropped.", low=0, below=1
    ),
    "hidden": Option("", "Widths of the hidden layers, such as 64-32."),
}


class Stem(NamedTuple):
    """The layers before the first block.

    Args:
        shares: Channels of each convolution, as shares of the width.
        side: Of the kernels.
        stride: Of the convolutions.
        pool: Side of the maximum pooling after them; 1 for none.
    """

    shares: tuple[float, ...] = (1.0,)
    side: int = 3
    stride: int = 1
    pool: int = 1


STEMS = {
    "strided": Stem(stride=2),
    "full": Stem(),
    "pooled": Stem(pool=2),
    "deep": Stem(shares=(0.5, 1.0), pool=2),
    "patch": Stem(side=4, stride=4),
}
BLOCK_TYPES = ("plain", "separable", "bottleneck")
SKIP_CNN_OPTIONS: Options = {
    "dropout": Option(
        0.2, "Share of features that are dropped.", low=0, below=1
    ),
    "stages": Option(3, "Stages, each with half the height and width.", low=1),
    "blocks": Option(1, "Residual blocks a stage.", low=1),
    "members": Option(
        1, "Networks in one, whose logits are averaged.", low=1, quiet=True
    ),
    "stem": Option(
        "deep", "Layers before the first block.", choices=STEMS, quiet=True
    ),
    "block_type": Option(
        "plain", "Kind of residual block.", choices=BLOCK_TYPES, quiet=True
    ),
    "squeeze_excite": Option(
        True, "Whether blocks weigh their channels.", quiet=True
    ),
}

TASK_WEIGHTINGS = (
    "equal",
    "size",
    "uncertainty",
    "dwa",
    "gradnorm",
    "pcgrad",
)
MULTI_HEAD_OPTIONS: Options = {
    "trunk": Option("skip_cnn", "Model of the zoo under the heads."),
    "film": Option(
        False, "Whether the backbone is given the task of an image."
    ),
    # Of a batch of 128, breastmnist has 0.2 images at alpha 1, 1.7 at 0.5 and
    # 12 at 0, where its 546 images are seen as often as tissuemnist's 165,466.
    "alpha": Option(
        0.5,
        "Tasks of n images are drawn in proportion to n ** alpha: 0 draws all "
        "alike, 1 as often as they have images.",
        low=0,
        high=1,
        affects="course",
        in_builder=False,
    ),
    "task_weighting": Option(
        "equal",
        "How the losses of the tasks are weighed.",
        choices=TASK_WEIGHTINGS,
        in_builder=False,
    ),
}

HEADS = ("linear", "mlp")
# Axes of a batch of images to flip for each view of it, the plain one first: 1
# from top to bottom, 2 from left to right.
FLIPS: dict[str, tuple[tuple[int, ...], ...]] = {
    "fixed": ((),),
    "mirror": ((), (2,)),
    "any": ((), (1,), (2,), (1, 2)),
}
VIEWS = ("plain", *FLIPS, "by_task")
# The last two are of networks that end in tokens, the first of them of the
# class.
POOLS = ("mean", "mean_std", "class", "class_mean")
FEATURE_OPTIONS: Options = {
    "backbone": Option(
        "mobilenet_025",
        "Network of keras.applications; none for pixels.",
        choices=BackboneNames("none"),
    ),
    "weights": Option("imagenet", "Its weights: imagenet, none or a file."),
    "taps": Option("three", "Layers whose outputs are the features."),
    "pool": Option("mean", "Pooling of a layer.", choices=POOLS),
    "resize": Option(
        0,
        "Side that images are resized to; 0 for the larger of theirs and the "
        "smallest that the backbone takes.",
    ),
}
_VIEWS = Option("plain", "Flips whose features are averaged.", choices=VIEWS)
LOGISTIC_OPTIONS: Options = {
    **FEATURE_OPTIONS,
    "views": _VIEWS,
    "strength": Option(0.0, "C of scikit-learn; 0 to choose it on val.", low=0),
}
TRANSFER_OPTIONS: Options = {
    **FEATURE_OPTIONS,
    "backbone": Option(
        "mobilenet_025",
        "Network of keras.applications.",
        choices=BackboneNames(),
    ),
    "views": _VIEWS,
    "freeze": Option(
        "all", "What is frozen: all, none, bn or a number of blocks."
    ),
    "head": Option("linear", "Head on the backbone.", choices=HEADS),
    "dropout": Option(
        0.2, "Share of features that are dropped.", low=0, below=1
    ),
    "head_first": Option(
        0.0,
        "Share of the steps in which the head is trained alone.",
        low=0,
        below=1,
        in_builder=False,
    ),
    "trunk_rate": Option(
        1.0,
        "Learning rate of the backbone, as a share of the head's.",
        above=0,
        in_builder=False,
        quiet=True,
    ),
}


def check_transfer(options: Mapping[str, Any]) -> None:
    """Checks what goes together in `transfer` and needs no backbone.

    Raises:
        FieldError: For a value that no backbone has, and for rates of one that
            is not trained.
    """
    check_features(options)
    freeze = options["freeze"]
    blocks = freeze.isdecimal() and int(freeze) > 0
    if freeze not in ("all", "none", "bn") and not blocks:
        raise FieldError(
            "`freeze` must be all, none, bn (batch norm alone) or the number "
            f"of blocks to freeze, such as 5. Received: freeze={freeze!r}.",
            "freeze",
        )
    rates = [options.get("head_first", 0.0), options.get("trunk_rate", 1.0)]
    if freeze == "all" and rates != [0, 1]:
        raise FieldError(
            "`head_first` and `trunk_rate` are for a backbone that is trained. "
            "Expected freeze='bn', a number or none. Received: freeze='all', "
            f"head_first={rates[0]}, trunk_rate={rates[1]}.",
            *("head_first", "trunk_rate", "freeze"),
        )


def check_features(options: Mapping[str, Any]) -> None:
    """Checks that images have the size that a backbone needs.

    Raises:
        FieldError: For a value that no backbone has.
    """
    if options["backbone"] == "none":
        return
    minimum = get_backbone(options["backbone"]).minimum
    if options["resize"] and options["resize"] < minimum:
        raise FieldError(
            f"Backbone `{options['backbone']}` needs images of {minimum} "
            f"pixels. Expected `resize` of {minimum} or more, or 0 for the "
            "larger of that and the image. Received: "
            f"resize={options['resize']}.",
            "resize",
        )


MASK_LOSSES = (
    "cross_entropy",
    "dice",
    "dice+cross_entropy",
    "focal",
    "tversky",
)
UNET_OPTIONS: Options = {
    # 8 levels halve 256 pixels down to one.
    "levels": Option(4, "Times that the image is halved.", low=1, high=8),
    "dropout": Option(
        0.2, "Share of features that are dropped.", low=0, below=1
    ),
    "norm": Option(
        "batch", "Normalisation.", choices=("batch", "group", "none")
    ),
    "upsample": Option(
        "nearest",
        "How the decoder enlarges.",
        choices=("nearest", "bilinear", "transposed"),
    ),
    "pad": Option(True, "Whether images are padded to be halved evenly."),
    "task_weighting": Option(
        "equal",
        "How the losses of mask and label are weighed.",
        # Those that need no gradients of each loss.
        choices=("equal", "uncertainty", "dwa"),
        in_builder=False,
    ),
    "mask_loss": Option(
        "dice+cross_entropy",
        "Loss of the mask.",
        choices=MASK_LOSSES,
        in_builder=False,
    ),
    "mask_weight": Option(1.0, "Its weight.", low=0, in_builder=False),
    "label_weight": Option(
        1.0, "Weight of the loss of the label.", low=0, in_builder=False
    ),
    "mask_balance": Option(
        False, "Whether mask classes weigh alike.", in_builder=False
    ),
}
NUM_MASK_CLASSES = Option(2, "Classes of pixels.", low=2, high=127)


def check_unet(options: Mapping[str, Any]) -> None:
    """Checks the weights of the heads.

    Raises:
        FieldError: For weights that are none, or that `task_weighting` finds
            itself.

    Example:

    >>> check_unet({"mask_weight": 1.0, "label_weight": 0.5})
    """
    names = ("mask_weight", "label_weight")
    weights = {name: float(options.get(name, 1)) for name in names}
    received = ", ".join(f"{name}={w}" for name, w in weights.items())
    if not sum(weights.values()):
        raise FieldError(
            "`mask_weight` or `label_weight` must be above 0. "
            f"Received: {received}.",
            *names,
        )
    weighting = options.get("task_weighting", "equal")
    if weighting != "equal" and set(weights.values()) != {1.0}:
        raise FieldError(
            f"`task_weighting` of {weighting} finds the weights of the heads "
            "itself. Expected mask_weight=1 and label_weight=1. "
            f"Received: {received}.",
            *(name for name in names if weights[name] != 1),
        )


def find_border(side: int, levels: int) -> tuple[int, int]:
    """Returns the pixels to add at both ends to halve a side evenly.

    Example:

    >>> find_border(28, levels=4), find_border(32, levels=4)
    ((2, 2), (0, 0))
    """
    missing = -side % 2**levels
    return missing // 2, missing - missing // 2
