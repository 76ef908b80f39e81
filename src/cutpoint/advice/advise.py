"""From measured axes to advice, before anything but heads is trained."""

from __future__ import annotations

from cutpoint.advice.bands import data_band, distance_band, looks_unlike
from cutpoint.advice.checklist import checklist
from cutpoint.advice.kinds import transfer_kind
from cutpoint.advice.rules import agreement, evaluate_rules
from cutpoint.advice.situation import Situation
from cutpoint.advice.tree import walk
from cutpoint.advice.upkeep import upkeep
from cutpoint.sizes import size
from cutpoint.types import WITHOUT_BACKBONE, Advice, Axes, Finding


def advise(situation: Situation) -> Advice:
    """What the axes and the field's rules say; a function of the situation alone."""
    rules = evaluate_rules(situation)
    path, recommended = walk(situation)
    return Advice(
        axes=situation.axes,
        rules=rules,
        agreement=agreement(rules),
        measured=_measured(situation.axes),
        band=data_band(situation.axes),
        transfer_kind=transfer_kind(situation),
        path=path,
        recommended=recommended,
        excluded=situation.excluded,
        checklist=checklist(situation),
        labels=situation.labels,
        upkeep=upkeep(situation),
        findings=(*_no_backbone(situation), *_imbalance(situation.axes), *_scratch(situation)),
    )


def _measured(axes: Axes) -> str:
    """What the measurement says, in a sentence or two."""
    if axes.probe is None:
        return "No probe was possible, so that the distance is not known: " + (
            "a language model brings its own head."
            if axes.kind == "language"
            else "the examples allow no held-out score."
        )
    beside = [f"{words} {value:.3f}" for words, value in _beside(axes)]
    probe = "linear head" if axes.modality in WITHOUT_BACKBONE else "frozen probe"
    sentence = f"A {probe} on a few hundred examples scores {axes.probe:.3f}"
    sentence += f" ({', '.join(beside)})" if beside else ""
    band = distance_band(axes)
    if axes.distance is None or band is None:
        return f"{sentence}."
    sentence += f": distance {axes.distance:.2f}, {band}."
    if axes.best_depth is not None and axes.best_depth < 1:
        sentence += f" Features are best after {100 * axes.best_depth:.0f} % of the stack."
    return sentence + _second_opinion(axes, band)


def _beside(axes: Axes) -> list[tuple[str, float]]:
    found = (("a constant answer", axes.chance), ("random weights", axes.random_init))
    return [(words, value) for words, value in found if value is not None]


def _second_opinion(axes: Axes, band: str) -> str:
    """What the statistics of the source say beside the probe, which sees difficulty and domain as one."""
    is_unlike = looks_unlike(axes)
    if is_unlike is None:
        return ""
    shift = f"({axes.to_source['batchnorm-frechet']:.2f} of its deviations in BatchNorm's statistics)"
    if is_unlike and band == "close":
        return f" The inputs look unlike the source's {shift}, yet its features serve."
    if is_unlike:
        return f" The inputs look unlike the source's {shift}: what the features lack is the domain."
    if band in ("distant", "very distant"):
        return f" The inputs look like the source's {shift}: the task may be hard rather than distant."
    return ""


def _no_backbone(situation: Situation) -> list[Finding]:
    if situation.axes.modality not in WITHOUT_BACKBONE:
        return []
    words, more = "Rows of numbers", ""
    if situation.axes.modality == "signal":
        words, more = "Signals", " Of sounds, pictures of spectrograms can be raced as images."
    return [
        Finding(
            code="no-backbone-fits",
            severity="info",
            text=f"{words} share no low-level statistics with what any backbone here has seen: there is nothing to "
            "transfer.",
            remedy="Train a compact model from scratch: gradient-boosting is the field's choice for tables, a linear "
            "layer the plainest one." + more,
        )
    ]


def _imbalance(axes: Axes) -> list[Finding]:
    if axes.imbalance is None or axes.imbalance < 10 or axes.smallest_class is None:
        return []
    return [
        Finding(
            code="imbalance-raises-risk",
            severity="warning",
            text=f"The largest class has {axes.imbalance:.0f} times the examples of the smallest: the more is trained, "
            "the more easily the small one is learned by heart.",
            evidence=f"The smallest class has {axes.smallest_class} training examples.",
            remedy="Prefer regimes that train less, judge by --metric f1_macro, or collect more of the small class.",
        )
    ]


def _scratch(situation: Situation) -> list[Finding]:
    """From scratch is always priced, and shown beside the rest."""
    axes = situation.axes
    trials = [trial for trial in situation.priced if trial.regime in situation.from_random]
    trials += [trial for trial in situation.refused if trial.regime in situation.from_random]
    own = [trial for trial in trials if trial.backbone == axes.backbone]
    if not own or own[0].predicted.seconds is None:
        return []
    cost = own[0].predicted
    memory = f" and {size(cost.peak_memory_bytes)} of memory" if cost.peak_memory_bytes else ""
    labels = situation.labels.multiple if situation.labels else None
    measured = (
        f" Measured on your data, the same score takes {labels:.1f} times the labels." if labels else ""
    )
    return [
        Finding(
            code="scratch-price",
            severity="info",
            text=f"From scratch, the same network would take {cost.seconds:.0f} s{memory}, and by the field's account "
            f"10⁴ to 10⁶ labels; there are {axes.rows:,}.{measured}",
        )
    ]
