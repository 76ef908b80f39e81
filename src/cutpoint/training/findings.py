"""What only a fit itself can show: why it diverged, and which statistics moved."""

from __future__ import annotations

from cutpoint.regimes.partition import trainable_parameters
from cutpoint.training.batchnorm import batchnorm_finding, moved_statistics
from cutpoint.training.fit import Fit
from cutpoint.types import Finding


def fit_findings(fit: Fit) -> tuple[Finding, ...]:
    """Findings on a finished fit, beside those of its curve (`cutpoint.evaluation.diagnosis`)."""
    found = (_diverged(fit), _batchnorm(fit))
    return tuple(finding for finding in found if finding is not None)


def _diverged(fit: Fit) -> Finding | None:
    if not fit.state.diverged:
        return None
    kept = "its first weights" if fit.state.best_epoch < 0 else f"those of epoch {fit.state.best_epoch + 1}"
    return Finding(
        code="diverged",
        severity="warning",
        text=f"The fit diverged and was stopped; {kept} are kept.",
        evidence=fit.state.cause,
        remedy="Repair the inputs that are named, if any; else lower the rate tenfold, warm up longer, or train the "
        "head first (LP-FT).",
    )


def _batchnorm(fit: Fit) -> Finding | None:
    if fit.recipe.regime.init == "random":
        return None
    trained = {
        name
        for stage in fit.recipe.stages
        for block, members in trainable_parameters(fit.network, fit.blocks, stage.partition).items()
        if block != "head"
        for name, _ in members
    }
    pretrained = fit.data.bank.backbone.module
    return batchnorm_finding(moved_statistics(fit.network.backbone, pretrained, trained))
