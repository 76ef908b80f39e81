"""The kind of transfer, named from what the user supplied, and what of it can be run.

The names are those of Pan & Yang, A Survey on Transfer Learning (2010), with domain adaptation and multitask
learning beside them.
"""

from __future__ import annotations

from cutpoint.advice.situation import Situation
from cutpoint.types import WITHOUT_BACKBONE, Circumstances


def transfer_kind(situation: Situation) -> str:
    """The kind by name, why it is that one, and what runs today."""
    circumstances = situation.axes.circumstances
    if situation.axes.modality in WITHOUT_BACKBONE:
        data = "signals" if situation.axes.modality == "signal" else "rows of numbers"
        return f"No transfer: {data} come without a backbone. `cutpoint fit` trains compact models on them."
    if not situation.has_answers:
        return _unsupervised(circumstances)
    parts = [
        "Inductive transfer: your examples carry answers to a question of your own, whatever the backbone was "
        "trained on. `cutpoint fit` runs it."
    ]
    if circumstances.unlabelled and circumstances.other_task:
        parts.append(
            f"With labels in {circumstances.other_task} and none in {circumstances.unlabelled} it is transductive "
            "transfer as well, if both ask the same question in two domains."
        )
    if circumstances.unlabelled:
        parts.append(
            f"With {circumstances.unlabelled} (no labels), domain adaptation could bring source and target together; "
            "Cutpoint does not train on it. What it can do is to probe several backbones and take the nearer one."
        )
    if circumstances.other_task:
        parts.append(
            f"With {circumstances.other_task}, multitask learning could share one representation; Cutpoint does not "
            "train two tasks at once. It trains one adapter or head a task over the same base (`--tasks` prices that)."
        )
    return " ".join(parts)


def _unsupervised(circumstances: Circumstances) -> str:
    sentence = (
        "Unsupervised transfer: plain texts carry no answers, and a language model learns to continue them. "
        "`cutpoint fit` runs it (continued pretraining with full weights or adapters)."
    )
    if circumstances.other_task:
        sentence += (
            f" {circumstances.other_task} is a task of its own; what is learned here is not handed on to it."
        )
    return sentence
