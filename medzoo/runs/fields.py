"""The names that fields of a run may take, readable without Keras."""

from collections.abc import Collection
from typing import NamedTuple


class OptimizerChoice(NamedTuple):
    """An optimizer by its Keras class, with the defaults that it has here."""

    keras_class: str
    learning_rate: float
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False


# Learning rates are those of the papers and of Keras, but for Adadelta, whose
# Keras default of 0.001 is not the paper's 1.0.
OPTIMIZERS: dict[str, OptimizerChoice] = {
    "sgd": OptimizerChoice("SGD", 0.01),
    "momentum": OptimizerChoice("SGD", 0.01, momentum=0.9),
    "nesterov": OptimizerChoice("SGD", 0.01, momentum=0.9, nesterov=True),
    "rmsprop": OptimizerChoice("RMSprop", 1e-3),
    "adagrad": OptimizerChoice("Adagrad", 0.01),
    "adadelta": OptimizerChoice("Adadelta", 1.0),
    "adam": OptimizerChoice("Adam", 1e-3),
    "adamw": OptimizerChoice("AdamW", 1e-3, weight_decay=0.01),
    "adamax": OptimizerChoice("Adamax", 1e-3),
    "nadam": OptimizerChoice("Nadam", 1e-3),
    "ftrl": OptimizerChoice("Ftrl", 0.01),
    "lion": OptimizerChoice("Lion", 1e-4),
    "adafactor": OptimizerChoice("Adafactor", 0.01),
    "lamb": OptimizerChoice("Lamb", 1e-3),
}

SCHEDULES = ("constant", "cosine", "step")

LOSSES = (
    "soft_f1",
    "weighted_soft_f1",
    "cross_entropy",
    "cross_entropy+soft_f1",
    "soft_harmonic_mean",
)

ACTIVATIONS = (
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "tanh",
    "sigmoid",
    "hard_silu",
    "linear",
)

# `by_task` picks one of the strong ones by what the task allows.
AUGMENTATIONS = (
    "none",
    "flips",
    "light",
    "warp",
    "colour",
    "strong",
    "strong_any",
    "strong_fixed",
    "by_task",
)

MIXES = ("none", "mixup", "cutmix")

# Fields that act on a trained model, whose effect a record keeps.
AFTER_TRAINING = ("ema", "flip_test", "adjust")

# What each way to treat imbalance changes: the loss of an image, or how often
# it is drawn.
IMBALANCES = {
    "none": "nothing",
    "class_weights": "loss",
    "effective_number": "loss",
    "oversample": "sampling",
    "balanced_batches": "sampling",
    "focal": "loss",
    "logit_adjustment": "loss",
}

# The table of each field of a run whose value is a name.
TABLES: dict[str, Collection[str]] = {
    "activation": ACTIVATIONS,
    "augmentation": AUGMENTATIONS,
    "imbalance": IMBALANCES,
    "loss": LOSSES,
    "mix": MIXES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
