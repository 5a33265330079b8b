"""The feature cache: a frozen trunk sees each image once, not once an epoch."""

import functools
import hashlib
import importlib.metadata
import json
import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from medzoo.data.dataset import Dataset, Split
from medzoo.data.folders import cache_folder
from medzoo.data.splits import resplit
from medzoo.files import writing
from medzoo.models.backbones import require_weights
from medzoo.models.flops import count_flops
from medzoo.runs.run import Run
from medzoo.runs.symmetries import choose_options
from medzoo.tasks import SPLITS
from medzoo.training.build import build_network, find_width, name_device
from medzoo.training.predict import predict_logits

if TYPE_CHECKING:
    import keras

# Part of every key. Raise it when a trunk would give other features.
FEATURES_VERSION = 2
# Options that decide the features, beside the weights.
_OPTIONS = ("backbone", "taps", "pool", "resize", "views")
# Images between two writes, so that memory does not grow with the split.
CHUNK = 4096


@dataclass(frozen=True)
class Features(Dataset):
    """A dataset of features in place of images.

    Args:
        trunk_parameters: Weights of the trunk that made them, all frozen.
        trunk_flops: Operations of that trunk for an image, all its views.
    """

    trunk_parameters: int = 0
    trunk_flops: int = 0


def trunk_flops(data: Dataset) -> int:
    """Returns the operations that made the features of an image, if any."""
    return data.trunk_flops if isinstance(data, Features) else 0


def load_features(run: Run, load: Callable[[Run], Dataset]) -> Dataset:
    """Loads the images of a run, or what a frozen trunk makes of them.

    Images that are split anew with each seed have one set of features.

    Args:
        run: What is to be trained.
        load: Loads the images of a run.
    """
    if not (is_cacheable(run) and run.resplit):
        return with_features(run, load(run))
    whole = run.model_copy(update={"resplit": False})
    return resplit(with_features(whole, load(whole)), seed=run.seed)


def is_cacheable(run: Run) -> bool:
    """Says whether the trunk of a run gives the same features every epoch."""
    if "backbone" not in run.options or run.options["backbone"] == "none":
        return False
    frozen = run.options.get("freeze", "all") == "all"
    moved = run.augmentation != "none" or run.mix != "none" or run.flip_test
    return frozen and not moved and run.precision == "float32"


def with_features(run: Run, data: Dataset) -> Dataset:
    """Puts features in the place of images, where the run allows it.

    They lie in the user's cache (`XDG_CACHE_HOME`, else `~/.cache`) under
    `medzoo/features`, in a folder for each trunk, weights, taps, size and data.
    The first of all runs and processes that needs them makes them, the others
    wait, and all map them into memory.

    Args:
        run: What is to be trained.
        data: Its images.

    Returns:
        `Features` with arrays of shape `(n, num_features)`, `float32`, and the
        labels of `data`; `data` itself where the trunk is trained too, or sees
        augmented images.

    Raises:
        FileNotFoundError: If the weights of the trunk are not there, or the
            cache cannot be written.
        ValueError: If the weights are those of another trunk.
    """
    if not is_cacheable(run):
        return data
    about = _describe(run, data)
    text = json.dumps(about, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = cache_folder() / "features" / key
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{folder}.lock").acquire()
    with lock:
        if not folder.is_dir():
            _make(folder, run, data, about)
    facts = json.loads((folder / "about.json").read_text())
    values: dict[str, Any] = vars(data) | {
        name: _read(folder, name, data) for name in SPLITS
    }
    counts = {name: facts[name] for name in ("trunk_parameters", "trunk_flops")}
    return Features(**values, **counts)


def attach_trunk(run: Run, data: Dataset, head: "keras.Model") -> "keras.Model":
    """Puts a head that was trained on features on its trunk.

    Args:
        run: What was trained.
        data: Its images, not their features.
        head: The trained model.

    Returns:
        The whole model, from raw images to logits.
    """
    random.seed(run.seed)  # Decides a trunk without pretrained weights.
    whole = build_network(run, data, find_width(run, data))
    for layer in head.layers:
        if layer.weights:
            whole.get_layer(layer.name).set_weights(layer.get_weights())
    return whole


def _describe(run: Run, data: Dataset) -> dict[str, Any]:
    """Returns all that decides the features of a run."""
    import keras

    backend = keras.backend.backend()
    options = choose_options(run)
    path = require_weights(options["backbone"], options["weights"])
    # A limit that does not bind leaves the images what they are.
    limit = run.max_images
    drawn = limit is not None and len(data.train) >= limit
    about = {
        "version": FEATURES_VERSION,
        "weights": _hash(path, path.stat().st_mtime_ns) if path else run.seed,
        "data": data.fingerprint,
        "shape": data.input_shape,
        "max_images": [run.max_images, run.seed] if drawn else None,
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("keras", backend)
        },
    }
    return about | {k: options[k] for k in _OPTIONS if k in options}


@functools.lru_cache(maxsize=8)
def _hash(path: Path, modified: int) -> str:
    """Hashes a file; `modified` keeps a changed one from being remembered."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make(
    folder: Path, run: Run, data: Dataset, about: Mapping[str, Any]
) -> None:
    """Runs the trunk over all images; the folder appears when it is whole."""
    from medzoo.models.transfer import build_features

    random.seed(run.seed)
    options = choose_options(run)
    model = build_features(
        data.input_shape,
        **{
            name: options[name]
            for name in (*_OPTIONS, "weights")
            if name in options
        },
    )
    model.compile(jit_compile=name_device() != "cpu")
    facts = {
        **about,
        "trunk_parameters": model.count_params(),
        "trunk_flops": count_flops(model),
    }
    with (
        writing(folder),
        tempfile.TemporaryDirectory(
            dir=folder.parent, ignore_cleanup_errors=True
        ) as made,
    ):
        for name in SPLITS:
            _predict(
                model, getattr(data, name).images, Path(made, f"{name}.npy")
            )
        Path(made, "about.json").write_text(json.dumps(facts, indent=1))
        Path(made).rename(folder)


def _predict(model: "keras.Model", images: np.ndarray, path: Path) -> None:
    shape = (len(images), *model.output_shape[1:])
    features = np.lib.format.open_memmap(
        path, mode="w+", dtype="float32", shape=shape
    )
    for start in range(0, len(images), CHUNK):
        chunk = slice(start, start + CHUNK)
        features[chunk] = predict_logits(model, images[chunk])
    features.flush()


def _read(folder: Path, name: str, data: Dataset) -> Split:
    features = np.load(folder / f"{name}.npy", mmap_mode="r")
    return replace(getattr(data, name), images=features)
