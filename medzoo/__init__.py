"""Honest comparison studies of Keras models on medical images.

`run` trains one run, `run_study` and `run_search` many, and `load` loads a
trained model. The command line is `medzoo`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medzoo.api import (
        Dataset,
        load,
        register_activation,
        register_augmentation,
        register_backbone,
        register_loss,
        register_model,
        register_optimizer,
        register_schedule,
        register_score,
        register_watcher,
        run,
        run_search,
        run_study,
    )

__version__ = "0.2.0"
__all__ = [
    "Dataset",
    "load",
    "register_activation",
    "register_augmentation",
    "register_backbone",
    "register_loss",
    "register_model",
    "register_optimizer",
    "register_schedule",
    "register_score",
    "register_watcher",
    "run",
    "run_search",
    "run_study",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import medzoo.api

    return getattr(medzoo.api, name)


def __dir__() -> list[str]:
    """Lists the public names."""
    return [*__all__, "__version__"]
