"""The race of ten classes with all that a run can record beside it; every figure is made up."""

from __future__ import annotations

from sample_result import (
    LABELS,
    NETWORK,
    WHOLE,
    cost_of,
    layer_probe,
    score_of,
    ten_classes,
    texts,
    thumbnail,
)

from cutpoint.types import (
    Advice,
    Audit,
    Axes,
    BackboneReference,
    CheckItem,
    Circumstances,
    Cost,
    Exhibit,
    Finding,
    LabelIssue,
    LabelsCurve,
    LabelsPoint,
    Result,
    RuleOutcome,
    Screened,
    Step,
    Trial,
)

SECOND = "vit_tiny_patch16_224"
_RATIOS = {
    "image-statistics": 0.8,
    "linear-probe": 1.1,
    "mlp-head": 0.45,
    "partial@17": 1.3,
    "partial@14": 1.2,
}
"""Trial → measured ÷ predicted seconds."""


def audit() -> Audit:
    """A leak, duplicates, a shortcut, wrong labels; one check that could not run."""
    pair = tuple(
        Exhibit(name=name, note=note, thumbnail=thumbnail(40))
        for name, note in (
            ("test/longsleeve/0172.jpg", "test, longsleeve"),
            ("train/longsleeve/0031.jpg", "train: same pixels as test/longsleeve/0172.jpg"),
        )
    )
    near = tuple(
        Exhibit(
            name=f"train/hat/{number:04d} <i>.jpg", note="group 1: near equal", thumbnail=thumbnail(number)
        )
        for number in range(50, 61)
    )
    return Audit(
        checked=("exact-duplicates", "near-duplicates", "leakage", "shortcuts", "label-errors", "imbalance"),
        not_checked={"shift": "the test split has fewer than 50 examples of some classes"},
        findings=(
            Finding(code="imbalance", severity="info", text="The largest class has 7.2 times the smallest."),
            Finding(
                code="near-duplicates",
                severity="warning",
                text="11 photos of the training split are near equal to another.",
                evidence="Perceptual hashes differ in at most 4 of 64 bits.",
                remedy="Keep such groups on one side of a split: cutpoint audit --fix does.",
                exhibits=near,
            ),
            Finding(
                code="leakage",
                severity="error",
                text="2 test photos stand in the training split too.",
                evidence="Same pixels under another name.",
                remedy="Write a new split with --fix, or accept it with --allow-leakage.",
                exhibits=pair,
            ),
        ),
        class_weights={label: 0.44 + number / 4 for number, label in enumerate(LABELS)},
        label_issues=(
            LabelIssue(
                name="train/dress/0007.jpg", given="dress", suggested="skirt", p_given=0.004, p_suggested=0.97
            ),
            LabelIssue(
                name="train/hat/<u>9.jpg", given="hat", suggested="shoes", p_given=0.03, p_suggested=0.88
            ),
        ),
        seconds=7.4,
    )


def labels_curve() -> LabelsCurve:
    """Four shares, with and without transfer, and twice the labels."""
    points = tuple(
        LabelsPoint(
            share=share,
            rows=round(2566 * share),
            transfer=score_of(0.84 - 0.16 * (0.1 / share) ** 0.7, 600),
            without=score_of(0.30 + 0.2 * share, 600),
        )
        for share in (0.1, 0.25, 0.5, 1.0)
    )
    return LabelsCurve(
        points=points,
        multiple=10.0,
        multiple_is_bound=True,
        at_twice=score_of(0.827, 300),
        sentence="Twice the labels would bring about 1.8 points more (80.8 to 84.6 %); without transfer all of them "
        "do not reach what transfer reaches with 257.",
    )


def rules() -> tuple[RuleOutcome, ...]:
    """Sets that agree with the race, that do not, and one that is silent."""
    probe = {
        "fired": "small and similar",
        "regimes": ("linear-probe", "mlp-head"),
        "advice": "feature extraction",
    }
    return (
        RuleOutcome(rule_set="A", title="by size × similarity", source="Tutorials", **probe),
        RuleOutcome(rule_set="B", title="ordered, first match wins", source="Practitioners' guide", **probe),
        RuleOutcome(
            rule_set="C",
            title="by thresholds",
            source="Practitioners' thresholds",
            fired="1 000 to 50 000 examples of a related domain",
            regimes=("full", "partial"),
            advice="fine-tune",
        ),
        RuleOutcome(
            rule_set="D",
            title="2 × 2",
            source="After Stanford's CS231n notes (Karpathy)",
            fired="small and different",
            regimes=("partial",),
            advice="freeze the early blocks only",
        ),
        RuleOutcome(
            rule_set="E",
            title="scarce labels",
            source="Teaching account",
            fired="scarce labels",
            regimes=("lora", "prefix"),
            advice="a frozen base with adapters",
        ),
        RuleOutcome(rule_set="all", title="what all of them say", source="Common account", fired=None),
    )


def _tree() -> tuple[Step, ...]:
    return (
        Step(
            question="What is learned from?", answer="photos", options=("photos", "texts", "rows of numbers")
        ),
        Step(
            question="How many training examples?",
            answer="1 000 to 50 000",
            options=("fewer than 1 000", "1 000 to 50 000", "more"),
        ),
        Step(
            question="How far from the backbone's source?",
            answer="related",
            options=("close", "related", "distant", "very distant"),
        ),
    )


def _axes() -> Axes:
    return Axes(
        modality="image",
        kind="multiclass",
        rows=2566,
        classes=10,
        per_class=235.5,
        smallest_class=82,
        imbalance=7.17,
        backbone=NETWORK,
        parameters=WHOLE,
        probe=0.79,
        chance=0.229,
        random_init=0.41,
        best_depth=0.95,
        distance=0.37,
        to_source={"Fréchet distance to ImageNet": 31.24},
        budget_seconds=1200.0,
        predicted={"scratch": cost_of(5400.0, WHOLE, 8_960_000), "lora": cost_of(222.0, 61_000, 250_000)},
        circumstances=Circumstances(tasks=12, retrain="monthly", wrong_costs="trust"),
    )


def advice() -> Advice:
    """Rules that disagree, a path, limits that rule one trial out."""
    return Advice(
        axes=_axes(),
        rules=rules(),
        agreement="A and B say linear-probe; C says full, D partial, E lora.",
        measured="Frozen features tell much, and the blocks above three quarters tell less: partial may pay.",
        band="236 examples a class (median) are in the band of strong results (100 to 1 000 a class).",
        transfer_kind="Inductive: another task on photos, with labels.",
        path=_tree(),
        recommended="partial",
        excluded=(
            Trial(
                id="qlora",
                regime="qlora",
                backbone=NETWORK,
                status="skipped",
                reason="30 ms a photo is above --max-latency 25ms",
                predicted=Cost(seconds=300.0),
            ),
        ),
        checklist=(
            CheckItem(text="The test split is held back", state="done"),
            CheckItem(text="Duplicates are on one side", state="warning", detail="2 test photos leak"),
            CheckItem(text="Somebody looked at 50 photos", state="open"),
        ),
        labels=labels_curve(),
        upkeep=("partial: 12 tasks store 58 MB; 144 trainings a year take 3 h 50 min.",),
    )


def screening() -> tuple[Screened, ...]:
    """Three looks on two rungs: three trials start, one is dropped at the first look, one at the second."""

    def run(
        trial: str, rung: int, share: float, value: float, expected: float, kept: bool, reason: str
    ) -> Screened:
        return Screened(
            trial=trial,
            rung=rung,
            share=share,
            score=score_of(value, 500),
            expected=expected,
            low=expected - 0.02,
            high=expected + 0.02,
            kept=kept,
            reason=reason,
            seconds=9.5,
        )

    return (
        run("partial@17", 0, 0.1, 0.79, 0.853, True, "among the best half"),
        run("full", 0, 0.1, 0.76, 0.855, True, "among the best half"),
        run("lora", 0, 0.1, 0.61, 0.781, False, "at most 80.1 % expected, and the leader has 85.3 %"),
        run("partial@17", 1, 0.33, 0.83, 0.851, True, "best of the rung"),
        run("partial@17", 1, 0.66, 0.84, 0.852, True, ""),
        run("full", 1, 0.33, 0.82, 0.846, False, "second of the rung, and there is time for one"),
    )


def _with_records(trial: Trial) -> Trial:
    ratio = _RATIOS.get(trial.id, 2.6)
    if trial.status != "finished" or trial.cost.seconds is None:
        return trial
    predicted = trial.cost.model_copy(
        update={
            "seconds": trial.cost.seconds / ratio,
            "peak_memory_bytes": int((trial.cost.peak_memory_bytes or 0) / 1.6),
        }
    )
    proof = (
        {}
        if not trial.cut
        else {"frozen_digest": f"{trial.cut:032x}", "frozen_tensors": 13 * trial.cut, "moved_tensors": 40}
    )
    return trial.model_copy(update={"predicted": predicted, **proof})


def with_evidence() -> Result:
    """All records at once: two backbones, audit, advice, screening, looks, proofs of freezing."""
    base = ten_classes()
    vit = Trial(
        id="vit/linear-probe",
        regime="linear-probe",
        backbone=SECOND,
        cut=12,
        status="finished",
        validation=score_of(0.802),
        cost=cost_of(71.0, 1930, 7900),
    )
    rows = tuple(
        row.model_copy(
            update={
                "score": row.score + 0.012,
                "logme": (row.logme or 0) - 0.2,
                "h_score": 1.0 + row.index / 4,
            }
        )
        for row in layer_probe()[:12]
    )
    return base.model_copy(
        update={
            "trials": tuple(_with_records(trial) for trial in (*base.trials, vit)),
            "backbones": {
                **base.backbones,
                SECOND: BackboneReference(kind="timm", name=SECOND, digest="ab12"),
            },
            "layer_probe": {**base.layer_probe, SECOND: rows},
            "audit": audit(),
            "advice": advice(),
            "screening": screening(),
            "looks": 9,
            "optimism": 0.004,
        }
    )


def evidence_on_texts() -> Result:
    """Excerpts beside each other, a clean curve without control, and no limit that rules anything out."""
    base = texts()
    excerpts = tuple(
        Exhibit(
            name=f"{split}.csv row {row}",
            note=f"{split}, weather",
            excerpt="will it <b>rain</b> tomorrow " * 4,
        )
        for split, row in (("train", 3), ("test", 8))
    )
    leak = Finding(
        code="leakage",
        severity="error",
        text="1 test text stands in the training split too.",
        exhibits=excerpts,
    )
    found = audit().model_copy(
        update={"findings": (leak,), "label_issues": (), "class_weights": {}, "not_checked": {}}
    )
    points = tuple(point.model_copy(update={"without": None}) for point in labels_curve().points)
    curve = labels_curve().model_copy(update={"points": points, "multiple": None, "at_twice": None})
    plain = advice().model_copy(update={"labels": curve, "excluded": (), "checklist": (), "upkeep": ()})
    plain = plain.model_copy(update={"axes": plain.axes.model_copy(update={"distance": None, "probe": None})})
    return base.model_copy(update={"audit": found, "advice": plain})
