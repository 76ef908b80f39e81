"""Large JPEGs decoded in full and reduced: time, and what differs in prepared pixels and in features.

    python -m benchmarks.large_photos [--photos N] [--page]

No photo at hand is large, so large ones are made of the photos of clothing10: enlarged with the grain of a sensor laid
over, which is soft, and many side by side at their own size, which is as sharp as a picture can be: the hardest case.
Both ways take turns, file by file, on one thread, so that the load of the machine meets both; ratios are medians over
files, with the range.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.data import open_image

from .page import put

_PAGE = Path(__file__).resolve().parents[1] / "docs" / "concepts" / "engines.md"
_SHARED = Path(os.environ.get("CUTPOINT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
_BACKBONES = {"mobilenetv2_100_coral": 224, "mobilenetv2_035_tm": 96}
_ENLARGED, _GRAIN = 12, 4.0
_TILE, _COLUMNS, _ROWS = 192, 16, 12
_QUALITY = 90
_FULL, _REDUCED = "full", "reduced"


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    files = sorted((_SHARED / "data/vision/clothing10/test").rglob("*.jpg"))
    random = np.random.default_rng(0)
    chosen = [files[place] for place in random.permutation(len(files))]
    sets = {
        "enlarged, with grain": [_enlarged(file, random) for file in chosen[: options.photos]],
        "side by side": [_side_by_side(chosen[number:]) for number in range(options.photos)],
    }
    lines = [
        "| photos | input | ms in full | ms reduced | times faster | largest difference | mean | least cosine |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for folder, size in _BACKBONES.items():
        backbone = load_backbone(str(_SHARED / "weights" / folder), image_size=size)
        lines += [_row(name, size, backbone, photos) for name, photos in sets.items()]
    print("\n".join(lines))
    if options.page:
        put(_PAGE, "large photos table", "\n".join(lines))


def _row(name: str, size: int, backbone: Backbone, photos: list[bytes]) -> str:
    ways = {_FULL: backbone.with_decoding("full").inputs, _REDUCED: backbone.inputs}
    pixels: dict[str, list[np.ndarray]] = {way: [] for way in ways}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for photo in photos:
        for way, inputs in ways.items():
            prepared, taken = _timed(lambda inputs=inputs, photo=photo: inputs.prepare(photo))
            pixels[way].append(prepared)
            seconds[way].append(taken)
    full, small = (backbone.inputs.collate(pixels[way]) for way in ways)
    with torch.inference_mode():
        features = [backbone.module(backbone.inputs.to_network(batch)) for batch in (full, small)]
    apart = (full.int() - small.int()).abs()
    ratios = [a / b for a, b in zip(seconds[_FULL], seconds[_REDUCED], strict=True)]
    width, height = open_image(photos[0]).size
    return (
        f"| {name}, {width} × {height} | {size} | {1000 * statistics.median(seconds[_FULL]):.0f} "
        f"| {1000 * statistics.median(seconds[_REDUCED]):.0f} "
        f"| {statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f}) "
        f"| {int(apart.max())} | {float(apart.float().mean()):.2f} "
        f"| {float(torch.cosine_similarity(*features).min()):.4f} |"
    )


def _timed(function: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    started = time.thread_time()
    found = function()
    return found, time.thread_time() - started


def _enlarged(file: Path, random: np.random.Generator) -> bytes:
    photo = open_image(file)
    large = photo.resize((_ENLARGED * photo.width, _ENLARGED * photo.height), Image.Resampling.BICUBIC)
    grain = random.normal(0, _GRAIN, (large.height, large.width, 1))
    return _jpeg(Image.fromarray((np.asarray(large) + grain).clip(0, 255).astype(np.uint8)))


def _side_by_side(files: list[Path]) -> bytes:
    large = Image.new("RGB", (_COLUMNS * _TILE, _ROWS * _TILE))
    for place in range(_COLUMNS * _ROWS):
        tile = open_image(files[place]).crop((0, 0, _TILE, _TILE))
        large.paste(tile, (place % _COLUMNS * _TILE, place // _COLUMNS * _TILE))
    return _jpeg(large)


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=12, help="of each kind")
    parser.add_argument("--page", action="store_true", help="write the table into docs/concepts/engines.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
