"""Realistic results to develop and test the report with; every figure in them is made up."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
from PIL import Image

from cutpoint.types import (
    BackboneReference,
    Comparison,
    ConfusionMatrix,
    Cost,
    DataSummary,
    EpochRecord,
    Finding,
    LayerProbe,
    Mistake,
    Provenance,
    Quarantined,
    Result,
    Retention,
    Sample,
    Score,
    Task,
    Trial,
    Verdict,
)

LABELS = (
    '<b>&"shirt',
    "dress",
    "hat",
    "longsleeve",
    "outwear (coats, jackets and everything worn above)",
    "pants",
    "shoes",
    "shorts",
    "skirt",
    "t-shirt </td><script>alert(1)</script>",
)
NETWORK = "mobilenetv2_100_coral"
WHOLE = 2_236_682
BLOCKS = ("conv_stem", *(f"blocks.{stage}.{block}" for stage in range(6) for block in range(3)), "conv_head")


def score_of(value: float, n: int = 2266, metric: str = "accuracy") -> Score:
    half = 1.96 * math.sqrt(max(value * (1 - value), 1e-4) / n)
    return Score(metric=metric, value=value, low=value - half, high=value + half, n=n)


def _curve(
    phases: tuple[tuple[int, int], ...], start: float, floor: float, fold: int
) -> tuple[EpochRecord, ...]:
    """Epochs of one fit; `phases` holds (epochs, frozen blocks)."""
    random = np.random.default_rng(fold)
    rows: list[EpochRecord] = []
    best = math.inf
    for phase, (epochs, frozen) in enumerate(phases):
        for _ in range(epochs):
            epoch = len(rows)
            train = floor * 0.6 + (start - floor * 0.6) * math.exp(-epoch / 3)
            validation = floor + (start - floor) * math.exp(-epoch / 2.5) + 0.006 * max(0, epoch - 6)
            validation += float(random.normal(0, 0.01))
            kept = validation < best
            best = min(best, validation)
            rows.append(
                EpochRecord(
                    phase=phase,
                    epoch=epoch,
                    frozen_blocks=frozen,
                    steps=71,
                    rate=1e-3,
                    train_loss=train,
                    validation_loss=validation,
                    validation_metric=1 - validation / 3,
                    seconds=4.2,
                    best=kept,
                )
            )
    return tuple(rows)


def cost_of(
    seconds: float, trainable: int, stored: int, *, flops: int = 601_000_000, ms: float = 21.4
) -> Cost:
    return Cost(
        seconds=seconds,
        peak_memory_bytes=410_000_000 + int(seconds * 4e6),
        trainable_parameters=trainable,
        total_parameters=WHOLE,
        stored_bytes=stored,
        flops=flops,
        latency_ms=ms,
    )


def _trials() -> tuple[Trial, ...]:
    on_network = {"backbone": NETWORK, "status": "finished"}
    return (
        Trial(
            id="image-statistics",
            regime="image-statistics",
            backbone="none",
            status="finished",
            validation=score_of(0.341),
            cost=cost_of(2.6, 970, 4_300, flops=150_000, ms=1.4).model_copy(update={"total_parameters": 970}),
        ),
        Trial(
            id="first-probe",
            regime="linear-probe",
            cut=20,
            cut_name="conv_head",
            validation=score_of(0.742, 500),
            cost=cost_of(9.1, 12_810, 52_000),
            reason="first usable model, on 500 examples",
            seed=1,
            **on_network,
        ),
        Trial(
            id="linear-probe",
            regime="linear-probe",
            cut=20,
            cut_name="conv_head",
            validation=score_of(0.816),
            cost=cost_of(33.4, 12_810, 52_000),
            model="model",
            recipe={"C": 0.01, "folds": 5, "input": "224 px"},
            **on_network,
        ),
        Trial(
            id="partial@14",
            regime="partial",
            cut=14,
            cut_name="blocks.4.0",
            validation=score_of(0.849),
            cost=cost_of(141.0, 1_480_000, 5_900_000),
            **on_network,
        ),
        Trial(
            id="mlp-head",
            regime="mlp-head",
            cut=20,
            cut_name="conv_head",
            validation=score_of(0.821),
            cost=cost_of(41.8, 82_634, 331_000),
            curves=tuple(_curve(((20, 20),), 2.2, 0.58, fold) for fold in range(5)),
            **on_network,
        ),
        Trial(
            id="partial@17",
            regime="partial",
            cut=17,
            cut_name="blocks.5.0",
            validation=score_of(0.853),
            cost=cost_of(96.0, 1_204_170, 4_830_000),
            curves=tuple(_curve(((3, 20), (12, 17)), 2.1, 0.47, fold) for fold in range(5)),
            recipe={"rate": 0.001, "decay": 0.8, "epochs": 15},
            model="model",
            **on_network,
        ),
        Trial(
            id="full",
            regime="full",
            cut=0,
            validation=score_of(0.861),
            cost=cost_of(411.0, WHOLE, 8_960_000),
            curves=(_curve(((3, 20), (4, 17), (9, 0)), 2.1, 0.45, 9),),
            findings=(
                Finding(
                    code="overfitting",
                    severity="warning",
                    text="Full fine-tuning overfits: training accuracy is 99 %, validation 86 %.",
                    evidence="The gap grew over the last 6 epochs.",
                    remedy="Freeze more blocks, lower the rate or add augmentation.",
                ),
            ),
            **on_network,
        ),
        Trial(
            id="unfreeze-until-plateau",
            regime="unfreeze-until-plateau",
            backbone=NETWORK,
            cut=14,
            cut_name="blocks.4.0",
            status="eliminated",
            validation=score_of(0.827),
            cost=cost_of(63.0, 1_480_000, 5_900_000),
            reason="P(gain of 0.5 points or more) fell to 0.06 after the second of five folds",
            curves=(_curve(((4, 20), (4, 17), (4, 14)), 2.1, 0.55, 4),),
        ),
        Trial(
            id="from-scratch",
            regime="from-scratch",
            backbone=NETWORK,
            cut=0,
            status="priced",
            predicted=cost_of(5_400.0, WHOLE, 8_960_000),
            reason="predicted 1 h 30 min exceeds the remaining budget of 9 min",
        ),
        Trial(
            id="resnet50-linear-probe",
            regime="linear-probe",
            backbone="convnext_tiny",
            status="skipped",
            reason="not on this machine, and there is no network",
            predicted=Cost(seconds=160.0),
        ),
        Trial(
            id="full-l2sp",
            regime="full-l2sp",
            backbone=NETWORK,
            cut=0,
            status="failed",
            reason="the loss was not finite at step 14; the rate 0.1 is too high",
        ),
    )


def _comparison(leader: str, challenger: str, gain: float, p: float, decision: str) -> Comparison:
    return Comparison(
        leader=leader,
        challenger=challenger,
        gain=gain,
        low=gain - 0.012,
        high=gain + 0.012,
        p_positive=p,
        p_worthwhile=p * 0.9,
        decision=decision,  # type: ignore[arg-type]
        sentence=f"{challenger} against {leader}: {100 * gain:+.1f} points, P(gain > 0) {p:.2f}; {decision}",
    )


def thumbnail(seed: int) -> str:
    pixels = np.random.default_rng(seed).integers(40, 220, (6, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((112, 112), Image.Resampling.BICUBIC).save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _confusion(labels: tuple[str, ...], examples: int) -> ConfusionMatrix:
    random = np.random.default_rng(3)
    chances = np.full((len(labels), len(labels)), 0.15 / len(labels)) + 0.85 * np.eye(len(labels))
    rows = [random.multinomial(examples, row / row.sum()) for row in chances]
    return ConfusionMatrix(labels=labels, counts=tuple(tuple(int(cell) for cell in row) for row in rows))


def layer_probe() -> tuple[LayerProbe, ...]:
    return tuple(
        LayerProbe(
            index=index,
            block=name,
            width=96,
            score=0.30 + 0.52 * (1 - math.exp(-index / 7)) - (0.02 if index == 20 else 0),
            logme=-0.3 + index / 50,
            h_score=index / 3,
        )
        for index, name in enumerate(BLOCKS, start=1)
    )


def ten_classes() -> Result:
    """A finished image race: eleven trials, every status, hostile names, a warning."""
    counts = {
        "train": dict(zip(LABELS, (588, 210, 120, 400, 168, 301, 261, 130, 82, 306), strict=True)),
        "test": dict(zip(LABELS, (180, 70, 40, 130, 55, 95, 80, 43, 25, 95), strict=True)),
    }
    return Result(
        status="finished",
        task=Task(kind="multiclass", labels=LABELS),
        data=DataSummary(
            source="clothing/",
            modality="image",
            rows={"train": 2566, "test": 813},
            class_counts=counts,
            hash="9f0c1b7ad2e84c55",
            quarantined=(
                Quarantined(name="train/hat/<img src=x onerror=alert(2)>.jpg", reason="not an image"),
                Quarantined(name="train/dress/0441.jpg", reason="empty file"),
            ),
            notes=("3 images appear twice within the training part; one of each was kept.",),
        ),
        backbones={NETWORK: BackboneReference(kind="timm", name=NETWORK, digest="0c2d55aa91e0b7f3")},
        provenance={NETWORK: Provenance(licence="Apache-2.0", trained_on="ImageNet-1k", source="timm")},
        judged_on="5-fold cross-validation over the 2 566 training examples, the same folds for every trial",
        trials=_trials(),
        comparisons=(
            _comparison("linear-probe", "mlp-head", 0.005, 0.71, "kept out"),
            _comparison("linear-probe", "partial@17", 0.037, 0.998, "replaces"),
            _comparison("partial@17", "full", 0.008, 0.83, "kept out"),
            _comparison("partial@17", "unfreeze-until-plateau", -0.026, 0.03, "eliminated"),
        ),
        layer_probe={NETWORK: layer_probe()},
        winner="partial@17",
        test=score_of(0.848, 813),
        confusion=_confusion(LABELS, 80),
        mistakes=tuple(
            Mistake(
                name=f"test/shirt/{number:04d} <b>.jpg",
                truth=LABELS[number % 10],
                predicted=LABELS[(number + 3) % 10],
                confidence=0.99 - number / 100,
                thumbnail=thumbnail(number),
            )
            for number in range(12)
        ),
        verdict=Verdict(
            text="",
            ship="Ship partial fine-tuning of the top 3 of 20 blocks: it names 84.8 % of new photos right.",
            dearer="Full fine-tuning would add 0.8 points (likely, not proven) at 4.3 times the time.",
            flip="Twice the labelled photos, or costlier errors, would make full fine-tuning worth it.",
            findings=(
                Finding(
                    code="imbalance",
                    severity="warning",
                    text="The largest class has 7 times the examples of the smallest.",
                    evidence='588 of <b>&"shirt against 82 of skirt.',
                    remedy="Collect more of the small classes, or weight the classes.",
                ),
                Finding(
                    code="band",
                    severity="info",
                    text="82 to 588 examples per class: strong results are usual.",
                ),
            ),
        ),
        seconds=742.0,
        settings={"budget": "20min", "min_gain": 0.005, "folds": 5, "threads": 2, "target": None},
        versions={"cutpoint": "0.1.0", "python": "3.11.9", "torch": "2.13.0", "timm": "1.0.31"},
        seed=0,
        run="runs/clothing",
    )


def binary() -> Result:
    """Two classes; the probe wins and no curve was recorded."""
    trials = tuple(trial for trial in _trials() if trial.id in ("linear-probe", "image-statistics"))
    labels = ("defect", "good")
    return Result(
        status="finished",
        task=Task(kind="binary", labels=labels, metric="balanced_accuracy"),
        data=DataSummary(
            source="boards.csv",
            modality="image",
            rows={"train": 240, "test": 60},
            class_counts={"train": {"defect": 40, "good": 200}},
            hash="aa",
        ),
        judged_on="5-fold cross-validation",
        trials=trials,
        layer_probe={NETWORK: layer_probe()},
        winner="linear-probe",
        test=score_of(0.93, 60, "balanced_accuracy"),
        confusion=_confusion(labels, 30),
        verdict=Verdict(text="Ship the probe.", ship="Ship the probe.", dearer="", flip=""),
        seconds=48.0,
        run="runs/boards",
    )


def regression() -> Result:
    """Rows of numbers, no backbone, a metric in natural units that can be negative."""
    score = Score(metric="r2", value=0.412, low=-0.05, high=0.66, n=80)
    return Result(
        status="finished",
        task=Task(kind="regression", metric="r2"),
        data=DataSummary(source="arrays", modality="features", rows={"train": 320, "test": 80}, hash="bb"),
        judged_on="a held-out fifth of the training part",
        trials=(
            Trial(
                id="ridge",
                regime="linear",
                backbone="none",
                status="finished",
                validation=score,
                cost=Cost(seconds=0.04, trainable_parameters=11, total_parameters=11, stored_bytes=900),
            ),
        ),
        winner="ridge",
        test=score,
        mistakes=(Mistake(name="row 12", truth="4.2", predicted="9.9", confidence=0.0),),
        verdict=Verdict(text="Ship the linear model.", ship="", dearer="", flip=""),
        seconds=1.2,
        run="runs/numbers",
    )


def regression_by_error() -> Result:
    """Less is better: the dearer trial has the smaller error."""

    def trial(name: str, error: float, seconds: float) -> Trial:
        score = Score(metric="mae", value=error, low=error - 0.2, high=error + 0.3, n=80)
        cost = Cost(seconds=seconds, trainable_parameters=11, total_parameters=11, stored_bytes=900)
        return Trial(id=name, regime=name, backbone="none", status="finished", validation=score, cost=cost)

    trials = (trial("linear", 3.1, 0.04), trial("mlp-head", 2.2, 1.3), trial("wide-head", 2.9, 4.0))
    return regression().model_copy(
        update={"task": Task(kind="regression", metric="mae"), "trials": trials, "winner": "mlp-head"}
    )


def interrupted() -> Result:
    """Stopped before the first trial ended: no winner, no test score."""
    return Result(
        status="interrupted",
        task=Task(kind="multiclass", labels=("a", "b", "c")),
        data=DataSummary(source="photos/", modality="image", rows={"train": 30}, hash="cc"),
        trials=(
            Trial(
                id="linear-probe",
                regime="linear-probe",
                backbone=NETWORK,
                status="interrupted",
                reason="stopped by Ctrl-C",
            ),
        ),
        seconds=3.0,
        run="runs/photos",
    )


def many_classes(number: int = 77) -> Result:
    """More classes than a confusion matrix can show."""
    labels = tuple(f"intent number {index} with a fairly long name" for index in range(number))
    return ten_classes().model_copy(
        update={"task": Task(kind="multiclass", labels=labels), "confusion": _confusion(labels, 40)}
    )


def texts() -> Result:
    """Texts by class: an adapter ships, and what it cost elsewhere was measured."""
    forgotten = Retention(
        metric="spearman",
        reference="STS-B test",
        before=score_of(0.82, 1000, "spearman"),
        after=score_of(0.811, 1000, "spearman"),
        change=-0.009,
        low=-0.012,
        high=-0.005,
        sentence="spearman on STS-B test fell by 0.009 [0.005, 0.012].",
    )
    on_network = {"backbone": "minilm", "status": "finished"}
    regime = {"name": "lora", "adapter": {"kind": "lora", "rank": 16}}
    trials = (
        Trial(
            id="linear-probe",
            regime="linear-probe",
            cut=6,
            cut_name="head only",
            validation=score_of(0.91),
            cost=cost_of(2.3, 2_695, 13_900),
            **on_network,
        ),
        Trial(
            id="lora",
            regime="lora",
            cut=2,
            cut_name="layers.2 and above",
            validation=score_of(0.95),
            cost=cost_of(140.0, 295_000, 1_200_000),
            recipe={"regime": regime},
            retention=forgotten,
            **on_network,
        ),
    )
    probe = tuple(
        LayerProbe(index=index, block=f"layers.{index}", width=384, score=0.8 + index / 100)
        for index in range(1, 7)
    )
    return Result(
        status="finished",
        task=Task(kind="binary", labels=("music", "weather")),
        data=DataSummary(
            source="intents/",
            modality="text",
            rows={"train": 100, "test": 50},
            class_counts={"train": {"music": 60, "weather": 40}, "test": {"music": 30, "weather": 20}},
            hash="dd",
            quarantined=(Quarantined(name="train.csv row 7", reason="empty text"),),
        ),
        trials=trials,
        comparisons=(_comparison("linear-probe", "lora", 0.04, 0.998, "replaces"),),
        layer_probe={"minilm": probe},
        winner="lora",
        test=score_of(0.94, 50),
        confusion=_confusion(("music", "weather"), 25),
        mistakes=(
            Mistake(
                name="test.csv row 3",
                truth="music",
                predicted="weather",
                confidence=0.98,
                excerpt="play <b>some</b> jazz",
            ),
        ),
        verdict=Verdict(text="Ship lora.", ship="Ship lora.", dearer="", flip=""),
        seconds=200.0,
        run="runs/intents",
    )


def tags() -> Result:
    """Words with tags."""
    labels = ("O", "B-LOC", "I-LOC")
    return texts().model_copy(
        update={
            "task": Task(kind="tagging", labels=labels, metric="entity_f1"),
            "data": texts().data.model_copy(
                update={"class_counts": {"train": {"O": 900, "B-LOC": 30, "I-LOC": 4}}}
            ),
            "confusion": None,
            "mistakes": (),
        }
    )


def language() -> Result:
    """A language model: perplexity, where less is better, and what it writes."""

    def trial(name: str, value: float, half: float, seconds: float, trained: int) -> Trial:
        return Trial(
            id=name,
            regime=name,
            backbone="stories",
            cut=0 if trained else 5,
            cut_name="everything" if trained else "head only",
            status="finished",
            validation=Score(metric="perplexity", value=value, low=value - half, high=value + half, n=12),
            cost=cost_of(seconds, trained, 4 * trained),
        )

    worse = _comparison("full", "lora", -0.091, 0.08, "kept out")
    return Result(
        status="finished",
        task=Task(kind="language", metric="perplexity"),
        data=DataSummary(source="chats.jsonl", modality="text", rows={"train": 48, "test": 12}, hash="ee"),
        trials=(
            trial("unchanged", 1650.0, 450.0, 0.4, 0),
            trial("full", 330.0, 30.0, 25.0, 260_032),
            trial("lora", 360.0, 30.0, 45.0, 143_360),
        ),
        comparisons=(_comparison("unchanged", "full", 0.8, 0.999, "replaces"), worse),
        winner="full",
        test=Score(metric="perplexity", value=245.0, low=181.0, high=350.0, n=12),
        samples=(
            Sample(
                name="row 3",
                prompt="user: 2 + 2?",
                expected="It is 4.",
                before="a picture of a picture",
                after="",
            ),
        ),
        verdict=Verdict(text="Ship full.", ship="Ship full.", dearer="", flip=""),
        seconds=80.0,
        run="runs/chats",
    )
