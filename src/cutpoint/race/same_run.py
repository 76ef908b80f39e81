"""Whether what is asked for is what the run folder holds: else its answer would be to another question."""

from __future__ import annotations

from collections.abc import Sequence

from cutpoint.data.summary import content_hash
from cutpoint.errors import ArtifactError, BackboneError
from cutpoint.planning.plan import Entry, Plan
from cutpoint.planning.settings import Settings
from cutpoint.race.run_folder import RunFolder
from cutpoint.types import Dataset


def check_same_run(
    plan: Plan, settings: Settings, dataset: Dataset, entries: Sequence[Entry], folder: RunFolder
) -> None:
    """Raise an ArtifactError that names what is other than in the folder's plan."""
    digests = {entry.backbone.name: entry.backbone.reference.digest for entry in entries}
    regimes = {entry.backbone.name: tuple(entry.regimes) for entry in entries}
    planned = {name: reference.digest for name, reference in plan.backbones.items()}
    other = {
        "settings": plan.settings != settings,
        "data": plan.data.hash != content_hash(dataset),
        f"metric: {plan.task.metric}": plan.task != dataset.task,
        f"backbones: {', '.join(plan.backbones)}": planned != digests,
        "regimes": plan.regimes != regimes,
    }
    for what, is_other in other.items():
        if is_other:
            raise ArtifactError(
                f"{folder.path} holds a run with other {what}.",
                "Choose another folder with --out, or start anew with --restart.",
            )


def check_different(entries: Sequence[Entry]) -> None:
    """Raise a BackboneError where a backbone is named twice."""
    names = [entry.backbone.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise BackboneError(f"The backbone {name} is named twice.", "Name each backbone once.")
