"""The 12 runs of `runner.toml` as people write them without medzoo.

`keras_loop` is a loop around `model.fit`, `keras_tuner` the grid search of
KerasTuner as its guide shows it (keras.io/guides/keras_tuner/getting_started):
the same network, data, optimizers, learning rates, seed and epochs, and val
looked at after each epoch. `steps` trains one run on many images and counts the
time inside the steps alone. Each ends with one line of JSON.
"""

import json
import sys
import tempfile
import time

import keras
import keras_tuner
import numpy as np
from sklearn.metrics import f1_score

from medzoo.data.batches import batch_indices
from medzoo.data.dataset import Dataset, Split
from medzoo.data.sources import load
from medzoo.models.registry import build_model
from medzoo.runs.run import Run
from medzoo.training.build import prepare_model
from medzoo.training.trainer import Trainer

LEARNING_RATES = (1e-4, 1e-3, 1e-2)
OPTIMIZERS = {
    "momentum": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
    "rmsprop": lambda rate: keras.optimizers.RMSprop(rate),
    "adam": lambda rate: keras.optimizers.Adam(rate),
    "adamw": lambda rate: keras.optimizers.AdamW(rate, weight_decay=0.01),
}


class MacroF1(keras.callbacks.Callback):
    """Looks at val after each epoch and keeps the best weights."""

    def __init__(self, split):
        super().__init__()
        self.split = split
        self.best, self.weights = -1.0, None

    def on_epoch_end(self, epoch, logs=None):
        logits = self.model.predict(self.split.images, verbose=0)
        found = macro_f1(self.split, logits)
        if found > self.best:
            self.best, self.weights = found, self.model.get_weights()


def macro_f1(split, logits):
    chosen = logits.argmax(axis=1)
    return f1_score(split.labels, chosen, average="macro", zero_division=0)


def compiled(data, optimizer, rate):
    model = build_model(
        "skip_cnn", data.num_classes, input_shape=data.input_shape, width=16
    )
    model.compile(
        optimizer=OPTIMIZERS[optimizer](rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def keras_loop(data, epochs):
    scores = []
    for optimizer in OPTIMIZERS:
        for rate in LEARNING_RATES:
            keras.utils.set_random_seed(0)
            model = compiled(data, optimizer, rate)
            watch = MacroF1(data.val)
            model.fit(
                data.train.images,
                data.train.labels,
                batch_size=64,
                epochs=epochs,
                callbacks=[watch],
                verbose=0,
            )
            model.set_weights(watch.weights)
            logits = model.predict(data.test.images, verbose=0)
            scores.append(macro_f1(data.test, logits))
    return {"score": float(np.mean(scores)), "runs": len(scores)}


def grid_search(data, epochs):
    def build(hp):
        optimizer = hp.Choice("optimizer", list(OPTIMIZERS))
        return compiled(data, optimizer, hp.Choice("rate", LEARNING_RATES))

    tuner = keras_tuner.GridSearch(
        build,
        objective="val_accuracy",
        overwrite=True,
        directory=tempfile.mkdtemp(),
        seed=1,
    )
    tuner.search(
        data.train.images,
        data.train.labels,
        batch_size=64,
        epochs=epochs,
        validation_data=(data.val.images, data.val.labels),
        verbose=0,
    )
    scores = []
    for model in tuner.get_best_models(len(tuner.oracle.trials)):
        logits = model.predict(data.test.images, verbose=0)
        scores.append(macro_f1(data.test, logits))
    return {"score": float(np.mean(scores)), "runs": len(scores)}


def make_images(number):
    """Makes random images of three classes: they are to be stepped over."""
    chance = np.random.default_rng(0)
    splits = [
        Split(
            chance.integers(0, 256, (count, 28, 28, 3), "uint8"),
            chance.integers(0, 3, count, "int32"),
        )
        for count in (number, number // 10, number // 10)
    ]
    return Dataset("made", ("a", "b", "c"), *splits, fingerprint="made")


def steps(number, epochs):
    """Times the steps of a plain loop, then all of medzoo's training."""
    data = make_images(number)
    run = Run(
        task="bloodmnist",
        data="synthetic",
        loss="cross_entropy",
        epochs=epochs,
    )
    # The first step traces, whoever does it: it is done before.
    Trainer(prepare_model(run, data), data, run).train(until=1)
    trainer = Trainer(prepare_model(run, data), data, run)
    started = time.perf_counter()
    trainer.train()
    whole = time.perf_counter() - started
    model = prepare_model(run, data)
    inside = 0.0
    batches = batch_indices(number, run.batch_size, seed=0)
    for _ in range(trainer.num_steps):
        indices = next(batches)
        images, labels = data.train.images[indices], data.train.labels[indices]
        started = time.perf_counter()
        model.train_on_batch(images, labels)
        inside += time.perf_counter() - started
    return {
        "steps": inside,
        "train": whole - trainer.seconds["check"],
        "check": trainer.seconds["check"],
    }


def main():
    part, source, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if part == "steps":
        print(json.dumps(steps(int(source), epochs)))
        return
    data = load("breastmnist", source)
    parts = {"keras_loop": keras_loop, "keras_tuner": grid_search}
    print(json.dumps(parts[part](data, epochs)))


if __name__ == "__main__":
    main()
