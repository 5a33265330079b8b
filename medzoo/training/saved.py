"""Trained models on disk, with the record that says what they are."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medzoo.files import replacing, writing
from medzoo.training.after import predict_views
from medzoo.training.evaluate import predict_logits, to_probabilities
from medzoo.training.policy import list_flips
from medzoo.training.record import Record
from medzoo.training.segmentation import predict_labels

if TYPE_CHECKING:
    import keras

# Names beside each other in the folder of a trained run.
MODEL, RECORD = "model.keras", "record.json"


class Saved(NamedTuple):
    """A trained model.

    Args:
        model: From `uint8` images to logits.
        record: Of the run that it came out of, if that lies beside it.
        path: The file.
        task: Which task it answers for, if it is of a net of several; its
            record's scores are of that task then, and its run that of the net.
    """

    model: "keras.Model"
    record: Record | None
    path: Path
    task: str | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of its images."""
        height, width, channels = self.model.input_shape[1:]
        return height, width, channels

    @property
    def classes(self) -> list[str]:
        """Names of its classes; their numbers if no record says them."""
        if self.record is not None and self.record.classes:
            return self.record.classes
        return [str(label) for label in range(label_shape(self.model)[-1] or 0)]

    @property
    def segments(self) -> list[str]:
        """Names of its classes of pixels, if it has any."""
        if self.record is not None and self.record.segments:
            return self.record.segments
        count = self.model.output["mask"].shape[-1] if self.has_masks else 0
        return [str(segment) for segment in range(count)]

    @property
    def resize(self) -> str:
        """How images became as large as those that it was trained on."""
        options = self.record.run.data_options if self.record else {}
        return str(options.get("resize", "pad"))

    @property
    def has_masks(self) -> bool:
        """Says whether it predicts a mask beside a label."""
        return isinstance(self.model.output, dict)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Returns probabilities of `uint8` images, `(n, num_classes)`.

        Raises:
            ValueError: If the images have another shape or type.
        """
        images = np.asarray(images)
        if images.shape[1:] != self.input_shape or images.dtype != np.uint8:
            raise ValueError(
                "`images` do not fit the model. Expected uint8 of shape "
                f"{('n', *self.input_shape)}. Received: {images.dtype} of "
                f"shape {images.shape}."
            )
        if self.has_masks:
            output = self.record.run.output if self.record else "softmax"
            return predict_labels(self.model, images, output)
        if self.record is None:
            return to_probabilities(predict_logits(self.model, images))
        run = self.record.run
        flips = list_flips(self.task or run.task) if run.flip_test else ((),)
        logits = predict_views(self.model, images, flips)
        return to_probabilities(logits, run.output)

    @property
    def note(self) -> str:
        """What its predictions lack; empty if they are those of its run."""
        if self.record is None or self.record.run.adjust == "none":
            return ""
        return (
            "The run shifted its logits by the shares of its classes "
            "(`adjust`), which is no part of the file: these are the "
            "probabilities without that."
        )


def save_model(model: "keras.Model", path: Path) -> None:
    """Saves a model so that what lies under its name is whole.

    Raises:
        FileNotFoundError: If it cannot be written.
    """
    with writing(path), replacing(path, ending=path.suffix) as part:
        model.save(part)


def label_shape(model: "keras.Model") -> tuple[int | None, ...]:
    """Returns the shape of the logits of labels, as far as it is known."""
    found = model.output
    found = found["label"] if isinstance(found, dict) else found
    return tuple(found.shape)
