"""Backbones that a user has: networks that Keras saved, and keras-hub's."""

from pathlib import Path
from typing import Any

import keras
from keras import Model

from medzoo.files import DAMAGED
from medzoo.models.backbones import find_file
from medzoo.models.keras_file import require_bounded
from medzoo.models.layers import input_of, output_of


def build_addressed(
    backbone: str, input_shape: tuple[int, ...], *, weights: str
) -> Model:
    """Builds the network of an address.

    Args:
        backbone: `keras:FILE@LAYER` or `hub:PRESET`.
        input_shape: `(height, width, channels)`; a saved network has its own.
        weights: `none` for random ones.
    """
    kind, _, address = backbone.partition(":")
    if kind == "keras":
        return build_saved(address, weights=weights)
    return build_hub(address, input_shape, weights=weights)


def build_saved(address: str, *, weights: str) -> Model:
    """Loads a network that Keras saved, up to one of its layers.

    Args:
        address: `FILE@LAYER`; without a layer, what its head takes.
        weights: `none` for random ones in the place of its own.

    Raises:
        ValueError: If it cannot be loaded safely, or has no such layer.
    """
    path = find_file(f"keras:{address}") or Path(address)
    layer = address.rpartition("@")[2] if "@" in address else ""
    try:
        model = load_network(path)
    except ValueError as error:
        raise ValueError(
            f"`{path}` cannot be loaded safely as a backbone. Expected a "
            f"network that Keras saved. Received: {error}"
        ) from None
    if weights == "none":
        model = keras.models.clone_model(model)
    return Model(model.input, _find_end(model, layer, path), name="saved")


def load_network(path: Path) -> Model:
    """Loads a network that Keras saved; nothing in the file can run code.

    Raises:
        ValueError: With the reason in one line.
    """
    # Both register their layers.
    import medzoo.models.layers
    import medzoo.models.multi_head  # noqa: F401

    try:
        require_bounded(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (*DAMAGED, OSError) as error:
        reason = str(error).strip() or repr(error)
        raise ValueError(reason.splitlines()[0]) from None


def _find_end(model: Model, layer: str, path: Path) -> Any:
    """Returns the output of a layer, or the input of the last with weights."""
    known = [each.name for each in model.layers]
    if layer and layer not in known:
        raise ValueError(
            f"`{path}` has no layer `{layer}`. Expected one of: "
            f"{', '.join(known)}. Received: {layer!r}."
        )
    if layer:
        return output_of(model, model.get_layer(layer))
    *before, last = [each for each in model.layers if each.weights]
    if isinstance(last, Model) and not before:
        raise ValueError(
            f"`{path}` has all its weights in the inner network `{last.name}`, "
            "and no head behind it. Expected the layer whose output are the "
            f"features, as in keras:{path}@{last.name}. Received: no layer."
        )
    return input_of(model, last)


def build_hub(
    preset: str, input_shape: tuple[int, ...], *, weights: str
) -> Model:
    """Builds a backbone of keras-hub by its preset, with its pixels.

    Args:
        preset: Its name there, or a folder with one.
        input_shape: `(height, width, channels)`.
        weights: `none` for random ones.

    Raises:
        ValueError: Without keras-hub, or for a preset that it does not have.
    """
    try:
        import keras_hub
    except ImportError:
        raise ValueError(
            f"Backbone `hub:{preset}` needs the package keras-hub. Expected it "
            "to be installed. Run `pip install 'medzoo[hub]'`."
        ) from None
    try:
        network = keras_hub.models.Backbone.from_preset(
            preset,
            load_weights=weights != "none",
            image_shape=input_shape,
        )
    except (ValueError, OSError, KeyError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise ValueError(
            f"keras-hub has no preset `{preset}` at hand. Expected a name of "
            "its list or a folder, and the network the first time. "
            f"Received: {reason}"
        ) from None
    return _with_pixels(network, preset, input_shape)


def _with_pixels(
    network: Model, preset: str, input_shape: tuple[int, ...]
) -> Model:
    """Puts the scaling of a preset, from bytes, before its network."""
    import keras_hub

    inputs = x = keras.Input(input_shape, name="bytes")
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
        scale, offset = converter.scale, converter.offset
    except (ValueError, OSError, KeyError):  # It has none.
        scale, offset = 1 / 255, 0.0
    x = keras.layers.Rescaling(
        1.0 if scale is None else scale,
        offset=0.0 if offset is None else offset,
        name="to_preset",
    )(x)
    if isinstance(network.input, dict):
        (name,) = network.input
        x = {name: x}
    return Model(inputs, network(x), name="hub")
