"""What a list of corrected labels gained: one probe taught with the given labels, one with the corrected ones."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from cutpoint.data.collected import counted
from cutpoint.evaluation.comparison import PROVEN, PairedGain, paired_gain
from cutpoint.features.bank import FeatureBank
from cutpoint.heads.chunks import Chosen, chunks
from cutpoint.heads.exact import fit_exact
from cutpoint.planning.judging import Judging, Rows
from cutpoint.types import Dataset, Finding

CODE = "label-correction-gain"
_STRENGTHS = (1e-3, 1e-2, 1e-1)


def label_gain_findings(
    dataset: Dataset, judging: Judging, bank: FeatureBank, seed: int = 0
) -> tuple[Finding, ...]:
    """Compare exact linear heads on the same rows, both judged on the corrected labels of the validation rows.

    Args:
        dataset: With corrections (see `Dataset.given_targets`); nothing is found without any.
        judging: Which rows teach and which are judged.
        bank: Holds the features of these rows.
        seed: Of folds and bootstrap.
    """
    if dataset.given_targets is None:
        return ()
    return (_finding(dataset, judging, label_gain(dataset, judging, bank, seed)),)


def label_gain(dataset: Dataset, judging: Judging, bank: FeatureBank, seed: int = 0) -> PairedGain:
    """The comparison itself; arguments as for `label_gain_findings`, with corrections."""
    assert dataset.given_targets is not None
    fits = judging.fits(1)
    given = np.concatenate(
        [_answers(dataset, dataset.given_targets, bank, train, held, seed) for _, train, held in fits]
    )
    corrected = np.concatenate(
        [_answers(dataset, dataset.targets, bank, train, held, seed) for _, train, held in fits]
    )
    judged = np.concatenate([held for _, _, held in fits])
    return paired_gain(
        dataset.task,
        dataset.targets[judged],
        given,
        corrected,
        groups=dataset.groups_of(judged),
        seed=seed,
    )


def _answers(
    dataset: Dataset, targets: NDArray[np.int64], bank: FeatureBank, train: Rows, held: Rows, seed: int
) -> NDArray[np.float32]:
    """Probabilities (held, classes) of a head that is taught these targets on the training rows."""
    features = bank.pooled().final
    solved = fit_exact(
        Chosen(features, bank.positions(train)),
        targets[train],
        dataset.task,
        strengths=_STRENGTHS,
        groups=dataset.groups_of(train),
        seed=seed,
        out_of_fold=False,
    )
    with torch.inference_mode():
        answers = [
            solved.head(torch.from_numpy(chunk)).softmax(dim=1).numpy()
            for _, chunk in chunks(features, bank.positions(held))
        ]
    return np.concatenate(answers)


def _finding(dataset: Dataset, judging: Judging, gain: PairedGain) -> Finding:
    given = dataset.given_targets
    assert given is not None
    changed = int((dataset.targets != given)[judging.rows].sum())
    ahead = float(np.mean(gain.resampled > 0))
    verdict = "proven" if ahead >= PROVEN else "not proven"
    return Finding(
        code=CODE,
        severity="info",
        text=f"{counted(changed, 'corrected label')} of training and validation examples changed the "
        f"{dataset.task.metric} of a linear probe by {gain.gain:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}), "
        f"{verdict}.",
        evidence=f"The same probe taught with the given and with the corrected labels, both judged "
        f"{judging.sentence} with their corrected labels; ahead in {100 * ahead:.0f} % of paired resamples.",
        remedy=""
        if gain.gain > 0
        else "Look at the corrections again: they do not agree with the other examples.",
    )
