"""The embedded network: a small residual CNN for single grey 32 × 32 images."""

from __future__ import annotations

import torch
from torch import nn

WIDTH = 192
"""Pooled features per example."""

BLOCKS = ("stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4", "blocks.5")
"""Module paths in the order in which the data pass them."""


def _convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
    """A convolution without bias (the norm has one) and its BatchNorm."""
    return [
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut (He et al., Deep Residual Learning, 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_convolution(inputs, outputs, stride=stride),
            nn.ReLU(),
            *_convolution(outputs, outputs),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(*_convolution(inputs, outputs, size=1, stride=stride))
        )
        self.activation = nn.ReLU()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) → (B, outputs, H / stride, W / stride)."""
        activated: torch.Tensor = self.activation(self.residual(images) + self.shortcut(images))
        return activated


class GlyphNetwork(nn.Module):
    """(B, 1, 32, 32) normalised float32 → (B, 192) pooled features; it has no head.

    The blocks named in `BLOCKS` hold every parameter. Spatial sizes after them: 16, 16, 8, 8, 4, 4, 4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(1, 32, size=5, stride=2), nn.ReLU())
        self.blocks = nn.Sequential(
            ResidualBlock(32, 32),
            ResidualBlock(32, 64, stride=2),
            ResidualBlock(64, 64),
            ResidualBlock(64, 96, stride=2),
            ResidualBlock(96, 96),
            nn.Sequential(*_convolution(96, WIDTH, size=1), nn.ReLU()),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 1, 32, 32) → (B, 192)."""
        pooled: torch.Tensor = self.pool(self.blocks(self.stem(images)))
        return pooled.flatten(1)
