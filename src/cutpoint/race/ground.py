"""What every trial of one backbone stands on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from cutpoint.features.bank import FeatureBank
from cutpoint.planning.calibration import Calibration
from cutpoint.planning.judging import Judging, Rows
from cutpoint.planning.settings import Settings
from cutpoint.race.reference import Reference
from cutpoint.training.fit import FitData
from cutpoint.types import Dataset, Task


@dataclass(frozen=True)
class Ground:
    """What every trial of one backbone stands on."""

    bank: FeatureBank
    dataset: Dataset
    judging: Judging
    calibration: Calibration
    settings: Settings
    device: torch.device
    reference: Reference | None = None

    @property
    def task(self) -> Task:
        return self.dataset.task

    def fit_data(self, train: Rows, held: Rows) -> FitData:
        """A fit's view of the bank."""
        return FitData(
            bank=self.bank,
            targets=self.bank.targets,
            task=self.task,
            train=self.bank.positions(train),
            validation=self.bank.positions(held),
            groups=self.dataset.groups_of(self.bank.rows),
            selects=not self.judging.is_cross_validation,
        )
