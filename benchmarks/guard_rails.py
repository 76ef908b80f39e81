"""Every guard rail on real weights: which planted fault is told, and what sound runs are told of.

    python -m benchmarks.guard_rails

Writes benchmarks/guard_rails.json and the tables of docs/concepts/guard-rails.md (between their marks). The plants are
those of tests/guards. Needs the real data (see tests/conftest.py); about five minutes of one core.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[1]
_SHARED = Path(os.environ.get("CUTPOINT_SHARED", _REPOSITORY.parent / "shared"))
_PAGE = _REPOSITORY / "docs/concepts/guard-rails.md"
_JSON = Path(__file__).with_suffix(".json")
sys.path.insert(0, str(_REPOSITORY / "tests/guards"))

import plants  # noqa: E402
import torch  # noqa: E402

from cutpoint.artifacts import save_model  # noqa: E402
from cutpoint.data.load import load_dataset  # noqa: E402
from cutpoint.types import Finding  # noqa: E402

from .page import put  # noqa: E402

Found = list[Finding]
Plant = Callable[[], Found]
_SOUND: tuple[tuple[str, str, int | None], ...] = (
    ("cells", "linear-probe", None),
    ("cells", "partial", 6),
    ("cells", "full", 6),
    ("cells", "full-from-random-head", 6),
    ("cells", "full-layer-decay", 6),
    ("boards", "partial", 6),
    ("boards", "full", 6),
    ("clothes", "partial", 6),
    ("clothes", "full", 6),
    ("intents", "linear-probe", None),
    ("intents", "partial", 3),
    ("intents", "lora", 3),
    ("plays", "lora", 2),
    ("plays", "full", 2),
)


def main() -> None:
    torch.set_num_threads(1)
    started = time.time()
    with tempfile.TemporaryDirectory() as folder:
        faults, sound = _measured(Path(folder))
    _JSON.write_text(json.dumps({"faults": faults, "sound": sound}, indent=1, ensure_ascii=False) + "\n")
    _write_page(faults, sound)
    caught = sum(each["caught"] for each in faults)
    alarms = sum(bool(each["warnings"]) for each in sound)
    print(f"{caught} of {len(faults)} caught, {alarms} of {len(sound)} sound runs with a warning")
    print(f"{time.time() - started:.0f} s")


def _measured(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    ground = _Ground(folder)
    return [_fault(*row) for row in ground.faults()], [_sound(*row) for row in ground.sound()]


class _Ground:
    """Data, backbones and models that the plants stand on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"
        self.cells = self.images("bccd3", 40)
        self.clothes = self.images("clothing10", 20)
        self.boards = self.images("deeppcb6", 30)
        self.intents = plants.texts(_SHARED, self.cache)
        self.plays = plants.stories(_SHARED, self.cache)
        self.reference = load_dataset(str(_SHARED / "data/vision/bccd3"), per_class=60)
        self.probe = self.clothes.model(self.clothes.fit("linear-probe"))
        self.pictures = plants.pixels_of(self.clothes)
        self.saved = save_model(self.probe, folder / "model")
        self.texts = save_model(self.intents.model(self.intents.fit("linear-probe")), folder / "texts")

    def images(self, name: str, per_class: int, size: int = 64, **options: Any) -> plants.Ground:
        return plants.images(_SHARED, self.cache, name, per_class, size=size, **options)

    def tinted(self, confounded: bool) -> Found:
        return plants.tinted(_SHARED, self.cache, confounded=confounded)

    def normalised(self, mean: float, deviation: float, name: str = "clothing10") -> Found:
        return plants.misnormalised(_SHARED, self.cache, self.folder, mean, deviation, name)[0]

    def forgotten(self, rate: float) -> Found:
        return plants.forgetting(self.clothes, self.reference, rate)

    def edited(self, model: Path, **facts: Any) -> Found:
        return plants.edited(model, lambda record: record.update(facts))

    def trained(self, ground: plants.Ground, regime: str, epochs: int | None) -> Found:
        cut = min(5, len(ground.backbone.blocks) - 1)
        return plants.findings_of(ground.fit(regime, epochs=epochs, cut=cut))

    def faults(self) -> Iterator[tuple[str, str, str, Plant]]:
        """(what is planted, on what, code of the finding, the plant)."""
        cells, clothes, cache, do = self.cells, self.clothes, self.cache, partial
        reference = "clothes, reference cells"
        yield (
            "pretrained weights lose to random ones",
            "cells",
            "negative-transfer",
            do(plants.negative, cells),
        )
        yield (
            "three in four labels wrong",
            "clothes",
            "validation-only-rises",
            do(plants.only_rising, clothes),
        )
        yield "tint confounded with shoe and dress", "clothes", "errors-follow-source", do(self.tinted, True)
        yield "all blocks at 3e-3: a reference drops", reference, "forgetting", do(self.forgotten, 3e-3)
        yield "the same: features drift", reference, "features-drifted", do(self.forgotten, 3e-3)
        yield (
            "every block on four examples a class",
            "clothes",
            "overfitting",
            do(plants.overfitting, clothes),
        )
        yield "a rate of 1e-7", "clothes", "underfitting", do(plants.underfitting, clothes)
        for name, ground in (("cells", cells), ("clothes", clothes)):
            yield (
                "nothing frozen, random head, rate .1",
                name,
                "rate-too-high",
                do(plants.rate_too_high, ground),
            )
        yield "a rate that never comes down", "cells", "late-instability", do(plants.late_instability, cells)
        yield "frozen BatchNorm layers train", "cells", "batchnorm-drift", do(plants.batchnorm, cells)
        for name, ground in (("cells", cells), ("intents", self.intents), ("plays", self.plays)):
            yield "a rate of a million", name, "diverged", do(plants.diverging, ground)
        yield "one infinite number", "rows of numbers", "diverged", do(plants.infinite_input, cache)
        yield (
            "a weight is no number",
            "cells",
            "diverged",
            do(plants.broken_weight, _SHARED, cache, self.folder),
        )
        yield "a frozen buffer changes", "cells", "frozen-changed", do(plants.thawed, cells)
        for name, mean, deviation in (
            ("raw 0…255", 0.0, 1 / 255),
            ("0…1", 0.0, 1.0),
            ("standardised", 0.45, 0.225),
        ):
            found = do(self.normalised, mean, deviation)
            yield f"stated normalisation: {name}", "clothes", "preprocessing-mismatch", found
        small = do(lambda: plants.overridden(self.images("clothing10", 20, 48)))
        yield "48 pixels where 224 are due", "clothes", "preprocessing-override", small
        yield (
            "mean edited in a model folder",
            "clothes",
            "refused",
            do(self.edited, self.saved, mean=[0.4, 0.5, 0.5]),
        )
        yield (
            "length edited in a model folder",
            "intents",
            "refused",
            do(self.edited, self.texts, max_length=16),
        )
        swapped = do(plants.retokenised, cache, self.folder / "swapped", _SHARED)
        yield "two words of a tokenizer swapped", "intents", "refused", swapped
        for name, change in plants.WRONG_PIXELS.items():
            wrong = do(plants.unlike, self.probe, [change(each) for each in self.pictures])
            yield f"predict: {name}", "clothes", "unlike-training", wrong

    def sound(self) -> Iterator[tuple[str, Plant]]:
        """(what runs, the run)."""
        grounds = {
            "cells": self.cells,
            "boards": self.boards,
            "clothes": self.clothes,
            "intents": self.intents,
            "plays": self.plays,
        }
        for name, regime, epochs in _SOUND:
            yield f"{name}, {regime}", partial(self.trained, grounds[name], regime, epochs)
        yield "tint not confounded, probe", partial(self.tinted, False)
        source = partial(self.images, "clothing10", 30, 128, weights="mobilenetv2_100_coral")
        yield "clothes, probe and its source classes", lambda: plants.source_errors(source())
        yield "clothes, all blocks at 1e-5 with a reference", partial(self.forgotten, 1e-5)
        yield "cells, BatchNorm in inference mode", partial(plants.batchnorm, self.cells, "inference")
        for name in ("clothing10", "deeppcb6", "bccd3"):
            yield f"{name}, own normalisation", partial(self.normalised, 0.5, 0.5, name)
        yield "cells at 192 pixels", lambda: plants.overridden(self.images("bccd3", 10, 192))
        yield "clothes, model folder as written", partial(plants.refused, self.saved)
        yield "intents, model folder as written", partial(plants.refused, self.texts)
        yield "clothes, 30 test pictures at once", partial(plants.unlike, self.probe, self.pictures)
        yield "clothes, 200 test pictures one by one", self._one_by_one

    def _one_by_one(self) -> Found:
        pictures = plants.pixels_of(self.clothes, 200)
        return [each for picture in pictures for each in plants.unlike(self.probe, [picture])]


def _fault(planted: str, where: str, code: str, plant: Plant) -> dict[str, Any]:
    found = plant()
    told = next((each for each in found if each.code == code and each.severity != "info"), None)
    print(f"{'caught' if told else 'MISSED'}: {planted} ({where})", flush=True)
    return {
        "fault": planted,
        "on": where,
        "code": code,
        "caught": told is not None,
        "evidence": "" if told is None else _public(told.evidence or told.text),
        "also": sorted(plants.warned(found) - {code}),
    }


def _sound(name: str, run: Plant) -> dict[str, Any]:
    found = [each for each in run() if each.severity != "info"]
    print(f"{'silent' if not found else sorted(plants.warned(found))}: {name}", flush=True)
    return {
        "run": name,
        "warnings": sorted(plants.warned(found)),
        "evidence": [_public(each.evidence or each.text) for each in found],
    }


def _public(text: str) -> str:
    """Without the place of the data on this machine."""
    return text.replace(f"{_SHARED}/data/vision/", "").replace(f"{_SHARED}/", "")


def _write_page(faults: list[dict[str, Any]], sound: list[dict[str, Any]]) -> None:
    rows = ["| planted | on | finding | caught | evidence |", "|---|---|---|---|---|"]
    for each in faults:
        evidence = each["evidence"].replace("|", "¦").replace("\n", " ")
        evidence = evidence if len(evidence) <= 170 else f"{evidence[:167]}…"
        rows.append(
            f"| {each['fault']} | {each['on']} | `{each['code']}` | {'yes' if each['caught'] else 'no'} | {evidence} |"
        )
    rows += ["", "| sound run | warnings | evidence |", "|---|---|---|"]
    for each in sound:
        named = ", ".join(f"`{code}`" for code in each["warnings"]) or "none"
        rows.append(f"| {each['run']} | {named} | {'; '.join(each['evidence'])} |")
    put(_PAGE, "measured", "\n".join(rows))


if __name__ == "__main__":
    main()
