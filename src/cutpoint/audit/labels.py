"""Labels that are probably wrong, from the probabilities of a probe that did not see the example.

Candidates are found by confident learning (Northcutt, Jiang & Chuang 2021, with cleanlab). By itself it cannot tell a
wrong label from a hard example: of a set where the probe is right in three cases of four it would list every seventh
example though hardly a label is wrong. So the rate of wrong labels is estimated first, where the probe is surest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.exhibits import exhibit
from cutpoint.audit.pairs import Rows
from cutpoint.types import Dataset, Finding, LabelIssue

CODE = "label-errors"
TOLD_FROM = 0.02
"""Share of wrong labels that must be exceeded beyond doubt to be told."""
FEWEST = 40
"""Rows below which nothing can be said."""
WEAKEST = 0.5
"""Agreement with the given labels below which a probe's doubt says more about the probe than about the labels."""

_SUREST = 0.2
_SUREST_OF_WEAK = 0.1
_WEAK = 0.75
"""Agreement with the given labels below which a probe errs too often even in its surest fifth."""
_LEAST_SURE_ROWS = 20
_CONFIDENCE = 0.95
_SHOWN = 8


@dataclass(frozen=True)
class NoiseRate:
    """Share of labels that are probably wrong.

    Attributes:
        value: By the rule of succession.
        low: Of the 95 % interval (Clopper & Pearson 1934).
        high: Of the same.
        n: Rows on which it was counted.
    """

    value: float
    low: float
    high: float
    n: int


def agreement(probabilities: NDArray[np.floating], targets: NDArray[np.integer]) -> float:
    """Share of the rows whose given label the probe finds likeliest; of (N, classes) and (N,)."""
    return float((probabilities.argmax(axis=1) == targets).mean())


def noise_rate(probabilities: NDArray[np.floating], targets: NDArray[np.integer]) -> NoiseRate:
    """How often the given label contradicts the probe in the fifth of the rows where the probe is surest.

    Of a probe that contradicts more than every fourth label it is the surest tenth. There the probe hardly errs by
    itself, so that what contradicts it is the labels. That holds for wrong labels that strike easy and hard examples
    alike; confusions among hard examples only are not in it.

    Args:
        probabilities: (N, classes) out-of-fold.
        targets: (N,) the given labels.
    """
    from scipy.stats import beta

    share = _SUREST if agreement(probabilities, targets) >= _WEAK else _SUREST_OF_WEAK
    count = min(len(targets), max(_LEAST_SURE_ROWS, round(len(targets) * share)))
    surest = np.argsort(-probabilities.max(axis=1), kind="stable")[:count]
    wrong = int((probabilities[surest].argmax(axis=1) != targets[surest]).sum())
    tail = (1 - _CONFIDENCE) / 2
    low = beta.ppf(tail, wrong, count - wrong + 1) if wrong else 0.0
    high = beta.ppf(1 - tail, wrong + 1, count - wrong) if wrong < count else 1.0
    return NoiseRate((wrong + 1) / (count + 2), float(low), float(high), count)


def doubtful_labels(probabilities: NDArray[np.floating], targets: NDArray[np.integer]) -> Rows:
    """Positions of candidates, the least likely given label first; as many at most as the noise rate lets expect.

    Confident learning proposes them ("both": by class and by the noise between each two classes). Of a probe that
    agrees with fewer than `WEAKEST` of the labels there are none.

    Args:
        probabilities: (N, classes) out-of-fold.
        targets: (N,) the given labels.
    """
    from cleanlab.filter import find_label_issues

    given = np.asarray(targets, dtype=np.int64)
    likely = np.asarray(probabilities, dtype=np.float64)
    likely = likely / likely.sum(axis=1, keepdims=True)
    present, numbers = np.unique(given, return_inverse=True)
    if len(present) < 2 or agreement(likely, given) < WEAKEST:
        return np.zeros(0, dtype=np.int64)
    own = likely[:, present] / np.maximum(likely[:, present].sum(axis=1, keepdims=True), 1e-12)
    ranked = find_label_issues(
        numbers, own, filter_by="both", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    most = int(np.ceil(noise_rate(likely, given).value * len(given)))
    return np.asarray(ranked[:most], dtype=np.int64)


def label_issues(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.integer],
    labels: Sequence[str],
    names: Sequence[str],
) -> tuple[LabelIssue, ...]:
    """The candidates as records, least likely label first.

    Args:
        probabilities: (N, classes) out-of-fold.
        targets: (N,) the given labels.
        labels: Class names, in the order of the columns.
        names: (N,) how each example is called.
    """
    suggested = probabilities.argmax(axis=1)
    return tuple(
        LabelIssue(
            name=names[row],
            given=labels[int(targets[row])],
            suggested=labels[int(suggested[row])],
            p_given=float(probabilities[row, targets[row]]),
            p_suggested=float(probabilities[row, suggested[row]]),
        )
        for row in doubtful_labels(probabilities, targets)
    )


def label_findings(
    dataset: Dataset, rows: Rows, probabilities: NDArray[np.floating], issues: Sequence[LabelIssue]
) -> tuple[Finding, ...]:
    """A warning where more labels than `TOLD_FROM` are wrong beyond doubt, with the least likely ones.

    A note where the probe is too weak to doubt any.

    Args:
        dataset: The data.
        rows: (N,) the rows that the probabilities are of.
        probabilities: (N, classes) out-of-fold.
        issues: The candidates, of `label_issues`.
    """
    agreed = agreement(probabilities, dataset.targets[rows])
    if agreed < WEAKEST:
        return (
            Finding(
                code=CODE,
                severity="info",
                text=f"Whether labels are wrong cannot be told: a probe agrees with only {100 * agreed:.0f} % of them.",
                evidence="It did not see them while it learned. Where it mostly errs, that proves nothing.",
                remedy="More labelled examples or another backbone may tell.",
            ),
        )
    rate = noise_rate(probabilities, dataset.targets[rows])
    if rate.low <= TOLD_FROM or not issues:
        return ()
    place = {dataset.names[int(row)]: int(row) for row in rows}
    return (
        Finding(
            code=CODE,
            severity="warning",
            text=f"About {100 * rate.value:.0f} % of the labels look wrong, or their classes overlap "
            f"({100 * rate.low:.1f} % to {100 * rate.high:.1f} %); {len(issues)} examples are candidates.",
            evidence=f"Among the {rate.n} examples where a probe that did not see them is surest, so many labels "
            "contradict it. A candidate is a reason to look, no verdict.",
            remedy="Write a review list (cutpoint audit DATA --backbone NAME --review labels.csv), fill in its column "
            "“corrected”, and fit with --labels labels.csv, which measures the gain.",
            exhibits=tuple(
                exhibit(
                    dataset,
                    place[issue.name],
                    f"given {issue.given} ({issue.p_given:.3f}), perhaps {issue.suggested} ({issue.p_suggested:.2f})",
                )
                for issue in issues[:_SHOWN]
            ),
        ),
    )
