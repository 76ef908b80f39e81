"""Clean glyph bitmaps → pictures such as a scanner or a camera gives, a whole batch at a time.

Every operation draws from the generator that it is given, so a seed fixes the training data.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

SIZE = 32
"""Side of the pictures in pixels."""

_RESOLUTIONS = (8, 8, 8, 10, 12, 14, 16, 16, 20, 24, 28, 32, 32, 32)


def _uniform(generator: torch.Generator, shape: tuple[int, ...], low: float, high: float) -> torch.Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low


def _choice(generator: torch.Generator, count: int) -> int:
    return int(torch.randint(count, (), generator=generator))


def _thickness(ink: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Strokes made thicker or thinner: a blend with the dilated or eroded glyph."""
    kind = _choice(generator, 6)
    if kind == 0:
        return ink
    amount = _uniform(generator, (len(ink), 1, 1, 1), 0.0, 1.0)
    if kind == 1:
        changed = -F.max_pool2d(-ink, 3, stride=1, padding=1)
        amount = amount * 0.7
    else:
        kernel = (3, 5, 5, 7)[kind - 2]
        changed = F.max_pool2d(ink, kernel, stride=1, padding=kernel // 2)
    return torch.lerp(ink, changed, amount)


def _grid(count: int, generator: torch.Generator) -> torch.Tensor:
    """Sampling positions (count, 32, 32, 2): scale, aspect, rotation, slant, shift and an elastic field."""
    angle = _uniform(generator, (count,), -0.3, 0.3)
    slant = _uniform(generator, (count,), -0.45, 0.45)
    # The glyph fills 5/6 of its bitmap; from 0.62 to 1.1 of the picture afterwards.
    scale = _uniform(generator, (count,), 0.78, 1.4)
    aspect = torch.exp(_uniform(generator, (count,), -0.35, 0.35))
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0] = cosine * aspect
    affine[:, 0, 1] = (slant * cosine - sine) * aspect
    affine[:, 1, 0] = sine / aspect
    affine[:, 1, 1] = (slant * sine + cosine) / aspect
    affine[:, :, 2] = _uniform(generator, (count, 2), -0.12, 0.12)
    grid = F.affine_grid(affine, [count, 1, SIZE, SIZE], align_corners=False)
    knots = 3 + _choice(generator, 4)
    field = torch.randn((count, 2, knots, knots), generator=generator)
    strength = _uniform(generator, (count, 1, 1, 1), 0.0, 0.13)
    elastic = F.interpolate(field * strength, SIZE, mode="bicubic", align_corners=True)
    return grid + elastic.permute(0, 2, 3, 1)


def _occlude(ink: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A rectangle wiped out of every sixth glyph."""
    count = len(ink)
    centre = _uniform(generator, (count, 2, 1), 0.0, SIZE)
    half = _uniform(generator, (count, 2, 1), 1.5, 5.0)
    chosen = _uniform(generator, (count, 1, 1), 0.0, 1.0) < 1 / 6
    steps = torch.arange(SIZE)[None, :] + 0.5
    rows = ((steps - centre[:, 0]).abs() < half[:, 0])[:, :, None]
    columns = ((steps - centre[:, 1]).abs() < half[:, 1])[:, None, :]
    return ink * ~(rows & columns & chosen)[:, None]


def _resolution(ink: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Seen at a low resolution (8 to 32 pixels) and enlarged again, sometimes blurred."""
    side = _RESOLUTIONS[_choice(generator, len(_RESOLUTIONS))]
    if side < SIZE:
        small = F.interpolate(ink, side, mode="area")
        return F.interpolate(small, SIZE, mode="bilinear", align_corners=False)
    if _choice(generator, 2):
        blurred = F.avg_pool2d(ink, 3, stride=1, padding=1, count_include_pad=False)
        return torch.lerp(ink, blurred, _uniform(generator, (len(ink), 1, 1, 1), 0.0, 1.0))
    return ink


def _paint(ink: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Ink on paper: contrast, gamma, a shaded background, either polarity, noise. Values in 0…1."""
    count = len(ink)
    ink = ink ** torch.exp(_uniform(generator, (count, 1, 1, 1), -0.7, 0.7))
    # Most scans reach nearly black and nearly white; the rest is faint.
    contrast = 1 - 0.65 * _uniform(generator, (count, 1, 1, 1), 0.0, 1.0) ** 2
    paper = _uniform(generator, (count, 1, 1, 1), 0.0, 1.0) * (1 - contrast)
    ramp = torch.linspace(-1, 1, SIZE)
    direction = _uniform(generator, (count, 1, 1, 1), 0, 2 * math.pi)
    shade = torch.cos(direction) * ramp[None, None, :, None] + torch.sin(direction) * ramp
    strength = 0.15 * _uniform(generator, (count, 1, 1, 1), 0.0, 1.0) ** 3
    picture = paper + contrast * ink + strength * shade
    picture = torch.where(_uniform(generator, (count, 1, 1, 1), 0.0, 1.0) < 0.5, 1 - picture, picture)
    noise = 0.1 * _uniform(generator, (count, 1, 1, 1), 0.0, 1.0) ** 2
    picture = picture + noise * torch.randn(picture.shape, generator=generator)
    return picture.clamp(0, 1)


def distort(bitmaps: torch.Tensor, generator: torch.Generator, chunk: int = 64) -> torch.Tensor:
    """(B, 48, 48) uint8 glyphs → (B, 1, 32, 32) float32 pictures in 0…1.

    Kernel sizes and resolutions are drawn once for each chunk, all else for each glyph.
    """
    pictures = []
    for part in bitmaps[:, None].float().div(255).split(chunk):
        thick = _thickness(part, generator)
        placed = F.grid_sample(thick, _grid(len(part), generator), align_corners=False)
        seen = _resolution(_occlude(placed, generator), generator)
        pictures.append(_paint(seen.clamp(0, 1), generator))
    return torch.cat(pictures)
