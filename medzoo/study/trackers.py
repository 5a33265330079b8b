"""Names of trackers, and the packages that they need."""

import importlib.util
from collections.abc import Iterable

from medzoo.messages import unknown

# Names of `track`, and the package that each needs.
TRACKERS = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}


def check_tracker(name: str) -> str:
    """Returns a name of `TRACKERS`.

    Raises:
        ValueError: For another one.
    """
    if name not in TRACKERS:
        raise ValueError(unknown("track", name, TRACKERS))
    return name


def require_trackers(names: Iterable[str]) -> None:
    """Checks that trackers can be used here, without importing them.

    Raises:
        ValueError: For an unknown name, or a package that is missing.
    """
    for name in map(check_tracker, names):
        if importlib.util.find_spec(TRACKERS[name]) is None:
            raise ValueError(
                f"Tracking by {name} needs the package `{TRACKERS[name]}`, "
                "which is not installed. Run `pip install 'medzoo[tracking]'`."
            )
