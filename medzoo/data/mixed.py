"""Other names of the classes of `medzoo.data.multi_task`."""

from medzoo.data.multi_task import MultiTaskDataset as MixedDataset
from medzoo.data.multi_task import MultiTaskImages as MixedImages
from medzoo.data.multi_task import MultiTaskSplit as MixedSplit

__all__ = ["MixedDataset", "MixedImages", "MixedSplit"]
