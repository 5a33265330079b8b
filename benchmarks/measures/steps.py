"""The parts of a step of training, and what each takes."""

import time
from typing import Any

import numpy as np
from measures.cases import Case, make_images, make_trainer

BATCH_SIZES = (32, 128, 512, 1024)


def measure_parts(turns: int) -> list[dict[str, Any]]:
    """Measures what each part of a step takes, in seconds.

    `rates` is what a learning rate costs that changes at each step; a constant
    one is set once.
    """
    from medzoo.data.batches import batch_indices, gather
    from medzoo.training.mixing import mix_batch
    from medzoo.training.optimizers import change_rates

    found = []
    for name, width in (("mlp", 64), ("mlp", 512), ("skip_cnn", 32)):
        for batch_size in BATCH_SIZES:
            data = make_images(16 * max(BATCH_SIZES))
            case = Case(name, width, batch_size=batch_size)
            trainer = make_trainer(case, data)
            model = trainer.model
            run = trainer.run.model_copy(update={"schedule": "cosine"})
            batches = batch_indices(len(data.train), batch_size, seed=0)
            times = []
            for step in range(3 + turns * 4):
                marks = [time.perf_counter()]
                pairs = gather(data.train, next(batches))
                images, labels = mix_batch(*pairs, run=run, step=step)
                marks.append(time.perf_counter())
                change_rates(model.optimizer, run, step, trainer.num_steps)
                marks.append(time.perf_counter())
                model.train_on_batch(images, labels)
                marks.append(time.perf_counter())
                times.append(np.diff(marks))
            batches_s, rates_s, network_s = np.median(times[3:], axis=0)
            found.append(
                {
                    "net": case.name,
                    "batch": batch_size,
                    "batches": batches_s,
                    "rates": rates_s,
                    "network": network_s,
                }
            )
    return found
