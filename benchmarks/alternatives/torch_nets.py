"""The MLP and the skip CNN in plain PyTorch, with a plain loop.

The same layers as `medzoo/models/mlp.py` and `medzoo/models/skip_cnn.py` have
by default, so that both have the same weights and the same work to do.
"""

from typing import Any

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv_a = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.norm_a = nn.BatchNorm2d(width)
        self.conv_b = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm_b = nn.BatchNorm2d(width)
        hidden = (width + 3) // 4
        self.excite = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, width, 1),
            nn.Sigmoid(),
        )
        self.skip = nn.Sequential()
        if stride > 1:
            self.skip.append(nn.AvgPool2d(stride, ceil_mode=True))
        if inputs != width:
            self.skip.append(nn.Conv2d(inputs, width, 1, bias=False))

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.norm_a(self.conv_a(x)))
        y = self.norm_b(self.conv_b(y))
        return torch.relu(y * self.excite(y) + self.skip(x))


class SkipCNN(nn.Module):
    def __init__(
        self, shape: tuple[int, ...], num_classes: int, width: int
    ) -> None:
        super().__init__()
        half = (width + 1) // 2
        self.stem = nn.Sequential(
            nn.Conv2d(shape[-1], half, 3, 1, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        )
        self.stages = nn.Sequential(
            Block(width, width, 1),
            Block(width, 2 * width, 2),
            Block(2 * width, 4 * width, 2),
        )
        self.dropout = nn.Dropout(0.2)
        self.logits = nn.Linear(8 * width, num_classes)

    def forward(self, x: Any) -> Any:
        x = self.stages(self.stem(x))
        x = torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)
        return self.logits(self.dropout(x))


def build_mlp(shape: tuple[int, ...], num_classes: int, width: int) -> Any:
    sizes = [shape[0] * shape[1] * shape[2], width, width // 2, width // 4]
    layers = [nn.Flatten()]
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))


NETS = {"mlp": build_mlp, "skip_cnn": SkipCNN}


def train_epoch(
    net: Any, optimizer: Any, images: Any, labels: Any, batch_size: int
) -> None:
    net.train()
    for rows in torch.randperm(len(images)).split(batch_size):
        x = images[rows].float() / 127.5 - 1
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), labels[rows])
        loss.backward()
        optimizer.step()


@torch.no_grad()
def predict(net: Any, images: Any, batch_size: int) -> Any:
    net.eval()
    return torch.cat(
        [net(x.float() / 127.5 - 1) for x in images.split(batch_size)]
    )
