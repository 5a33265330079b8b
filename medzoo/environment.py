"""Variables of the environment: folders, a mirror, switches."""

import json
import os
from pathlib import Path

from medzoo.messages import unknown

# What a switch may hold, and what it means.
_SWITCH = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_RESIDENT = ("auto", "on", "off")


def find_folder(name: str, default: str) -> Path:
    """Returns the folder that a variable names, with `~` written out.

    Args:
        name: The variable; one that is blank counts as not set, as always.
        default: The folder without it.
    """
    return Path(_read(name) or default).expanduser()


def name_backend() -> str:
    """Returns the backend of Keras without importing it.

    `KERAS_BACKEND` names it, else `keras.json` in `KERAS_HOME` or `~/.keras`.
    """
    named = os.environ.get("KERAS_BACKEND")
    file = find_folder("KERAS_HOME", "~/.keras") / "keras.json"
    if named or not file.is_file():
        return named or "tensorflow"
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # Keras goes on without a broken file as well.
        settings = {}
    return settings.get("backend", "tensorflow")


def find_mirror() -> str:
    """Returns where `MEDZOO_MIRROR` downloads from; empty if it is not set."""
    return _read("MEDZOO_MIRROR").rstrip("/")


def is_debugging() -> bool:
    """Says whether `MEDZOO_DEBUG` asks for tracebacks and messages of backends.

    Raises:
        ValueError: For a value that is neither yes nor no.
    """
    return _SWITCH[_choose("MEDZOO_DEBUG", "0", tuple(_SWITCH))]


def choose_resident() -> str:
    """Returns what `MEDZOO_RESIDENT` says of the trainer: `auto`, `on`, `off`.

    Raises:
        ValueError: For another value, and for `on` without the JAX backend.
    """
    asked = _choose("MEDZOO_RESIDENT", "auto", _RESIDENT)
    if asked == "on" and (backend := name_backend()) != "jax":
        raise ValueError(
            "MEDZOO_RESIDENT=on needs JAX. Expected KERAS_BACKEND=jax. "
            f"Received: KERAS_BACKEND={backend}."
        )
    return asked


def check_environment() -> bool:
    """Checks the variables that not every value is right for.

    Returns:
        What `is_debugging` does.

    Raises:
        ValueError: For a value that is none.
    """
    choose_resident()
    return is_debugging()


def _choose(name: str, default: str, choices: tuple[str, ...]) -> str:
    found = _read(name).lower() or default
    if found not in choices:
        raise ValueError(unknown(name, found, choices))
    return found


def _read(name: str) -> str:
    return os.environ.get(name, "").strip()
