"""What it costs to ask a backbone for other inputs than it was made for: another image size, a shorter text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.errors import BackboneError
from cutpoint.evaluation.comparison import amount, compare, interval
from cutpoint.evaluation.metrics import check_metric
from cutpoint.features.bank import FeatureBank
from cutpoint.heads.exact import fit_exact
from cutpoint.types import Comparison, Dataset, Finding, ImagePreprocessing, TextPreprocessing

FAR = 1.5
"""Times larger or smaller than its own size: up to there convolutions hardly mind."""
CUT_OFF = 0.1
"""Share of texts that a shorter limit cuts off."""
_ROWS = 240
_WORTH_TELLING = 0.01


def override_finding(bank: FeatureBank, dataset: Dataset) -> Finding | None:
    """What the asked image size or text length costs, measured by a probe on a sample of the training rows.

    Args:
        bank: Of the backbone as it was asked for.
        dataset: Labels of its rows.

    Returns:
        A warning where the backbone's own inputs do clearly better, information where they do not; None where
        nothing was overridden by much, or there is nothing to compare with.
    """
    reference = bank.backbone.reference
    asked = {"image_size": reference.image_size, "max_length": reference.max_length}
    if not any(asked.values()) or reference.kind not in ("timm", "transformers"):
        return None
    try:
        own = load_backbone(reference.name, readout=reference.readout, path=reference.path)
    except BackboneError:  # a network that takes no size of its own, or that cannot be reached twice
        return None
    what = _what_differs(bank, own)
    if what is None or not (dataset.task.is_classification or dataset.task.kind == "regression"):
        return None
    compared = _compared(bank, own, dataset)
    evidence = "" if compared is None else _evidence(compared, dataset, _sampled(bank, dataset).size)
    is_loss = compared is not None and compared.decision == "replaces"
    return Finding(
        code="preprocessing-override",
        severity="warning" if is_loss else "info",
        text=f"{bank.backbone.name} {what}" + (", which costs accuracy." if is_loss else "."),
        evidence=evidence,
        remedy="Leave --image-size and --max-length out, or pay with accuracy for speed knowingly.",
    )


def _what_differs(bank: FeatureBank, own: Backbone) -> str | None:
    asked, made_for = bank.backbone.preprocessing, own.preprocessing
    if isinstance(asked, ImagePreprocessing) and isinstance(made_for, ImagePreprocessing):
        ratio = made_for.size[0] / asked.size[0]
        if 1 / FAR < ratio < FAR:
            return None
        return f"is made for {made_for.size[0]} pixels and is asked for {asked.size[0]}"
    if isinstance(asked, TextPreprocessing) and isinstance(made_for, TextPreprocessing):
        lengths = bank.lengths
        share = 0.0 if lengths is None else float(np.mean(lengths >= asked.max_length))
        if asked.max_length >= made_for.max_length or share < CUT_OFF:
            return None
        return (
            f"takes {made_for.max_length} tokens and is asked for {asked.max_length}, which cuts off "
            f"{100 * share:.0f} % of the texts"
        )
    return None


def _evidence(compared: Comparison, dataset: Dataset, rows: int) -> str:
    metric = check_metric(dataset.task)
    found = f"{amount(metric, compared.gain)} of {metric.name} {interval(metric, compared)}"
    return f"a probe on {rows} rows gains {found} with the backbone's own"


def _compared(bank: FeatureBank, own: Backbone, dataset: Dataset) -> Comparison | None:
    """Out-of-fold answers of a probe on the asked inputs, and on the backbone's own."""
    rows = _sampled(bank, dataset)
    targets = dataset.targets[rows]
    asked = _answers(bank, dataset, rows)
    better = _answers(FeatureBank(own, dataset, rows, bank.cache), dataset, rows)
    if asked is None or better is None:
        return None
    return compare(
        dataset.task,
        targets,
        asked,
        better,
        leader_id="the size asked for",
        challenger_id="the backbone's own",
        min_gain=_WORTH_TELLING,
        groups=dataset.groups_of(rows),
    )


def _answers(bank: FeatureBank, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
    features = bank.pooled().final[bank.positions(rows)]
    groups = dataset.groups_of(rows)
    return fit_exact(features, dataset.targets[rows], dataset.task, groups=groups).out_of_fold


def _sampled(bank: FeatureBank, dataset: Dataset) -> NDArray[np.int64]:
    train = np.intersect1d(dataset.splits["train"], bank.rows)
    return np.sort(np.random.default_rng(0).permutation(train)[:_ROWS])
