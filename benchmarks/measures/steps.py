"""The parts of a step of training, and what each takes."""

import time
from typing import Any

import numpy as np
from measures.cases import Case, make_images, make_trainer

BATCH_SIZES = (32, 128, 512, 1024)
# Of a stretch: about as many as a small task has between two checks.
STEPS = 4


def measure_parts(turns: int) -> list[dict[str, Any]]:
    """Measures what each part of a step takes, in seconds."""

    from medzoo.training.looped_tensorflow import program_of

    found = []
    data = make_images(16 * max(BATCH_SIZES))
    for name, width in (("mlp", 64), ("mlp", 512), ("skip_cnn", 32)):
        for batch_size in BATCH_SIZES:
            case = Case(name, width, batch_size=batch_size)
            trainer = make_trainer(case, data)
            program = program_of(trainer.model)
            batches = trainer.objective.batches()
            times = []
            for _ in range(2 + turns):
                marks = [time.perf_counter()]
                told = trainer.plan_stretch(range(STEPS), batches)
                marks.append(time.perf_counter())
                float(program(*told))
                marks.append(time.perf_counter())
                times.append(np.diff(marks) / STEPS)
            batches_s, network_s = np.median(times[2:], axis=0)
            found.append(
                {
                    "net": case.name,
                    "batch": batch_size,
                    "batches": batches_s,
                    "network": network_s,
                }
            )
    return found
