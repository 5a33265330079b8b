"""Cached features: a frozen backbone sees each image once for all epochs."""

import hashlib
import importlib.metadata
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from medzoo.data.checksums import are_whole, sum_files
from medzoo.data.dataset import Dataset, Split
from medzoo.data.folders import cache_folder, caching
from medzoo.data.folds import has_groups, hold_out, hold_out_fifth
from medzoo.data.npz import create_array
from medzoo.data.splits import take_stratified
from medzoo.files import DAMAGED, hash_file
from medzoo.models.backbones import get_backbone, require_weights
from medzoo.models.flops import count_flops
from medzoo.runs.run import Run
from medzoo.runs.symmetries import choose_options
from medzoo.tasks import SPLITS
from medzoo.training.build import build_network, find_width, name_device
from medzoo.training.predict import predict_logits

if TYPE_CHECKING:
    import keras

# Part of every key. Raise it when a backbone would give other features.
FEATURES_VERSION = 3
# The same of networks of a user, and of Xception, whose operations it has.
LATER_FEATURES_VERSION = 4
# Options that decide the features, beside the weights.
_OPTIONS = ("backbone", "taps", "pool", "resize", "views")
# Images between two writes, so that memory does not grow with the split.
CHUNK = 4096


def load_features(run: Run, load: Callable[[Run], Dataset]) -> Dataset:
    """Loads the images of a run, or their features by a frozen backbone.

    Images that are split anew with each seed have one set of features.
    """
    if not (is_cacheable(run) and run.is_resplit):
        return with_features(run, load(run))
    options = {k: v for k, v in run.data_options.items() if k != "folds"}
    changes: dict[str, Any] = {"resplit": False, "data_options": options}
    limit = run.max_images
    if limit is None or not has_groups(run.data, run.size, options):
        limit = None
    else:  # Groups are known of all images, so that some are left out last.
        changes["max_images"] = None
    whole = run.model_copy(update=changes)
    data = with_features(whole, load(whole))
    source = run.data, run.size, run.data_options
    if run.resplit:
        data = hold_out_fifth(data, *source, seed=run.seed)
    if "folds" in run.data_options:
        data = hold_out(data, *source, seed=run.seed)
    if limit is None:
        return data
    train = take_stratified(data.train, limit, seed=run.seed)
    return replace(data, train=train)


def is_cacheable(run: Run) -> bool:
    """Says whether the backbone gives the same features in every epoch."""
    if "backbone" not in run.options or run.options["backbone"] == "none":
        return False
    frozen = run.options.get("freeze", "all") == "all"
    moved = run.augmentation != "none" or run.mix != "none" or run.flip_test
    return frozen and not moved and run.precision == "float32"


def leaves_model(run: Run) -> bool:
    """Says whether a run trains a network, or a head on one."""
    on_backbone = run.model == "logistic_regression" and is_cacheable(run)
    return not run.entry.baseline or on_backbone


def with_features(run: Run, data: Dataset) -> Dataset:
    """Replaces images by features, if the run allows it.

    They are in the user's cache (`XDG_CACHE_HOME`, else `~/.cache`), under
    `medzoo/features`, in a folder for each backbone, weights, taps, size and
    data. The first of all processes that needs them makes them, the others
    wait, and all map them into memory.

    Returns:
        A dataset with `float32` arrays of shape `(n, num_features)` in place
        of images; `data` itself where the backbone is trained too, or sees
        augmented images.

    Raises:
        FileNotFoundError: Without the weights of the backbone, or if the cache
            cannot be written.
        ValueError: If the weights are those of another backbone.
    """
    if not is_cacheable(run):
        return data
    about = _describe(run, data)
    text = json.dumps(about, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = cache_folder() / "features" / key
    with caching(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{folder}.lock").acquire()
    with lock:
        if not _is_whole(folder, data):
            # Also what a process left that was killed while it made them.
            for left in (folder, *folder.parent.glob(f"{key}.?*")):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
            _make(folder, run, data, about)
    facts = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    counts = ("frozen_parameters", "frozen_flops")
    changes: dict[str, Any] = {name: facts[name] for name in counts}
    changes |= {name: _read(folder, name, data) for name in SPLITS}
    return replace(data, **changes)


def _is_whole(folder: Path, data: Dataset) -> bool:
    """Says whether all features are there, as many as there are images."""
    try:
        facts = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        arrays = [np.load(folder / f"{n}.npy", mmap_mode="r") for n in SPLITS]
        whole = are_whole(folder, facts["sums"])
    except (OSError, *DAMAGED):
        return False
    numbers = [len(array) for array in arrays]
    return whole and numbers == [len(split) for split in data.splits.values()]


def attach_backbone(
    run: Run, data: Dataset, head: "keras.Model"
) -> "keras.Model":
    """Returns the model from images to logits, with a head for features.

    Args:
        data: Its images, not their features.
        head: The model that was trained on the features.
    """
    random.seed(run.seed)  # Decides a backbone without pretrained weights.
    model = build_network(run, data, find_width(run, data))
    for layer in head.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    return model


def build_backbone(run: Run, data: Dataset) -> "keras.Model":
    """Builds the model from the images of a run to its features."""
    from medzoo.models.transfer import build_features

    options = choose_options(run)
    names = (*_OPTIONS, "weights")
    given = {name: options[name] for name in names if name in options}
    return build_features(data.input_shape, **given)


def _describe(run: Run, data: Dataset) -> dict[str, Any]:
    """Returns the facts that decide the features of a run."""
    import keras

    backend = keras.backend.backend()
    options = choose_options(run)
    path = require_weights(options["backbone"], options["weights"])
    # A limit that does not bind leaves the images what they are.
    limit = run.max_images
    drawn = limit is not None and len(data.train) >= limit
    plugin = run.plugins.get("backbone")
    application = get_backbone(options["backbone"]).application
    is_later = application in ("", "Xception")
    about = {
        **({"plugin": plugin.content} if plugin else {}),
        "version": LATER_FEATURES_VERSION if is_later else FEATURES_VERSION,
        "weights": hash_file(path) if path else run.seed,
        "data": data.fingerprint,
        "shape": data.input_shape,
        "max_images": [run.max_images, run.seed] if drawn else None,
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("keras", backend)
        },
    }
    return about | {k: options[k] for k in _OPTIONS if k in options}


def _make(
    folder: Path, run: Run, data: Dataset, about: Mapping[str, Any]
) -> None:
    """Runs the backbone over all images, into a folder that appears at last."""
    random.seed(run.seed)
    model = build_backbone(run, data)
    model.compile(jit_compile=name_device() != "cpu")
    facts = {
        **about,
        "frozen_parameters": model.count_params(),
        "frozen_flops": count_flops(model),
    }
    with (
        caching(folder),
        tempfile.TemporaryDirectory(
            dir=folder.parent,
            prefix=f"{folder.name}.",
            ignore_cleanup_errors=True,
        ) as made,
    ):
        for name in SPLITS:
            images = getattr(data, name).images
            _predict(model, images, Path(made, f"{name}.npy"))
        facts["sums"] = sum_files(Path(made, f"{n}.npy") for n in SPLITS)
        Path(made, "about.json").write_text(
            json.dumps(facts, indent=1), encoding="utf-8"
        )
        Path(made).rename(folder)


def _predict(model: "keras.Model", images: np.ndarray, path: Path) -> None:
    shape = (len(images), *model.output_shape[1:])
    features = create_array(path, "float32", shape)
    for start in range(0, len(images), CHUNK):
        chunk = slice(start, start + CHUNK)
        features[chunk] = predict_logits(model, images[chunk])
    features.flush()


def _read(folder: Path, name: str, data: Dataset) -> Split:
    features = np.load(folder / f"{name}.npy", mmap_mode="r")
    return replace(getattr(data, name), images=features)
