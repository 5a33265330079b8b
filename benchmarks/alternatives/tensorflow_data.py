"""Batches as the guides of TensorFlow make them, for `fit`."""

from typing import Any

import numpy as np
import tensorflow as tf


def make_dataset(
    images: np.ndarray, labels: np.ndarray, batch_size: int
) -> Any:
    """Makes a shuffled `tf.data.Dataset` of batches, prefetched."""
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = dataset.shuffle(len(images)).batch(batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)
