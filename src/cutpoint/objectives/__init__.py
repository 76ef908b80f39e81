"""What a phase minimises: one small module an objective."""

from cutpoint.objectives.contrastive import ContrastiveLoss
from cutpoint.objectives.l2_sp import StartingPointPenalty
from cutpoint.objectives.supervised import SupervisedLoss, balanced_class_weights

__all__ = ["ContrastiveLoss", "StartingPointPenalty", "SupervisedLoss", "balanced_class_weights"]
