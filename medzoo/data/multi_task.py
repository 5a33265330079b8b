"""Several tasks as one `Dataset`: common images, and one axis of classes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medzoo.data.dataset import Dataset, Split


class MultiTaskImages:
    """Images of several tasks, gathered on access.

    Grey images get three equal channels if another task has colours: those of a
    batch alone, so that the images of a task may be a memory map.

    Args:
        parts: Images of each task, `uint8`, shape `(n, height, width,
            channels)`, equal but for `n` and the channels.
        with_tasks: Returns a dictionary of `images` and `tasks` (indices) in
            place of images alone.
    """

    def __init__(
        self, parts: Sequence[np.ndarray], *, with_tasks: bool = False
    ) -> None:
        self.parts = tuple(parts)
        self.with_tasks = with_tasks
        self._starts = np.cumsum([0, *map(len, parts)])
        channels = max(part.shape[-1] for part in parts)
        self.shape = (len(self), *parts[0].shape[1:3], channels)

    @property
    def dtype(self) -> np.dtype:
        """Type of the images."""
        return self.parts[0].dtype

    def flip(self, axes: Sequence[tuple[int, ...]]) -> "MultiTaskImages":
        """Returns mirror images, flipped by the axes given for each task."""
        parts = map(np.flip, self.parts, axes)
        return MultiTaskImages([*parts], with_tasks=self.with_tasks)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, rows: slice | np.ndarray) -> Any:
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        tasks = np.searchsorted(self._starts, rows, side="right") - 1
        images = np.empty((len(rows), *self.shape[1:]), "uint8")
        # Batches hold the images of a task in one piece.
        for piece in np.split(np.arange(len(rows)), _changes(tasks)):
            if len(piece):
                task = tasks[piece[0]]
                mine = rows[piece] - self._starts[task]
                images[piece[0] : piece[-1] + 1] = self.parts[task][mine]
        if not self.with_tasks:
            return images
        return {"images": images, "tasks": tasks.astype("int32")}


def _changes(values: np.ndarray) -> np.ndarray:
    """Finds the positions at which another value begins."""
    return np.flatnonzero(np.diff(values)) + 1


@dataclass(frozen=True)
class MultiTaskSplit(Split):
    """One split of several tasks.

    Args:
        images: `MultiTaskImages`.
        labels: `int32` on the common axis of classes; -1 marks an unlabelled
            image.
        parts: The split of each task as it was, in the order of its images.
        classes: Range of each task on the axis of classes.
    """

    parts: Mapping[str, Split]
    classes: Mapping[str, range]

    def by_task(
        self, values: np.ndarray
    ) -> Iterator[tuple[str, Split, np.ndarray]]:
        """Divides an array with a row an image and a column a class by task.

        Yields:
            The task, its split, and its rows and columns.
        """
        first = 0
        for task, split in self.parts.items():
            rows = slice(first, first + len(split))
            classes = self.classes[task]
            yield task, split, values[rows, classes.start : classes.stop]
            first += len(split)


@dataclass(frozen=True)
class MultiTaskDataset(Dataset):
    """Several tasks as one dataset, with the classes of all on one axis.

    Args:
        parts: The data of each task.
    """

    train: MultiTaskSplit
    val: MultiTaskSplit
    test: MultiTaskSplit
    parts: tuple[Dataset, ...] = ()

    @property
    def heads(self) -> tuple[int, ...]:
        """Number of classes of each task."""
        return tuple(part.num_classes for part in self.parts)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of images of train of each task."""
        return tuple(len(part.train) for part in self.parts)

    def with_tasks(self) -> "MultiTaskDataset":
        """Returns the same data with the task beside each image."""
        return join_datasets(self.parts, with_tasks=True)


def join_datasets(
    datasets: Sequence[Dataset], *, with_tasks: bool = False
) -> MultiTaskDataset:
    """Joins tasks into one data set; no image is copied.

    Args:
        datasets: One a task, of one size of images.
        with_tasks: Whether a batch has the task of each image.

    Example:

    >>> from medzoo.data.synthetic import make_synthetic
    >>> names = ("retinamnist", "breastmnist")
    >>> data = join_datasets([make_synthetic(name) for name in names])
    >>> data.input_shape, data.heads, int(data.train.labels.max())
    ((28, 28, 3), (5, 2), 6)
    """
    ends = np.cumsum([data.num_classes for data in datasets]).tolist()
    classes = {
        data.task: range(end - data.num_classes, end)
        for data, end in zip(datasets, ends, strict=True)
    }

    def join(name: str) -> MultiTaskSplit:
        parts = {data.task: getattr(data, name) for data in datasets}
        images: Any = MultiTaskImages(
            [part.images for part in parts.values()], with_tasks=with_tasks
        )
        labels = [
            np.where(part.labels < 0, -1, part.labels + classes[task].start)
            for task, part in parts.items()
        ]
        return MultiTaskSplit(
            images, np.concatenate(labels).astype("int32"), parts, classes
        )

    return MultiTaskDataset(
        task="+".join(classes),
        classes=tuple(name for data in datasets for name in data.classes),
        train=join("train"),
        val=join("val"),
        test=join("test"),
        fingerprint="+".join(data.fingerprint for data in datasets),
        notes=tuple(
            f"{data.task}: {note}" for data in datasets for note in data.notes
        ),
        parts=tuple(datasets),
    )
