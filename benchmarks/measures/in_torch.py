"""The same networks in plain PyTorch, which is optional and in no lock."""

import functools
from collections.abc import Callable
from typing import Any

from measures.cases import NUM_CLASSES, Case, make_data, make_turn
from measures.turns import take_turns, timed

from medzoo.data.dataset import Dataset


def measure_torch(case: Case, *, turns: int, seconds: float) -> dict[str, Any]:
    """Measures the same network in plain PyTorch, if that is installed."""
    try:
        import torch
    except ModuleNotFoundError:
        return {"speed": {}}
    from alternatives.torch_nets import NETS, predict, train_epoch

    if case.model not in NETS or case.options:
        return {"speed": {}}
    torch.set_num_threads(1)
    net = NETS[case.model](case.shape, NUM_CLASSES, case.width)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def ways(data: Dataset) -> dict[str, Callable[[], float]]:
        images = torch.from_numpy(data.train.images).permute(0, 3, 1, 2)
        given = images.contiguous(), torch.from_numpy(data.train.labels).long()
        train = functools.partial(train_epoch, net, optimizer, *given)
        see = functools.partial(predict, net, given[0])
        return {
            "torch": timed(lambda: train(case.batch_size)),
            "torch inference": timed(lambda: see(case.batch_size)),
        }

    few = make_data(case, 4 * case.batch_size)
    speed = take_turns(ways(few), 1, few)["torch"]
    data = make_turn(case, speed, seconds)
    return {
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "versions": {"torch": str(torch.__version__)},
        "speed": take_turns(ways(data), turns, data),
    }
