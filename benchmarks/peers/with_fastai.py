"""Fastai, as in its quick start: a vision learner over a table of files, one cycle."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from torch import nn

from . import images
from .job import Job, Track, contend

from fastai.callback.core import Callback  # isort: skip
from fastai.callback.schedule import Learner  # isort: skip
from fastai.vision.augment import Resize  # isort: skip
from fastai.vision.data import ImageDataLoaders  # isort: skip
from fastai.vision.learner import vision_learner  # isort: skip


class Judge(Callback):
    """Tells the track of epochs."""

    order = 100

    def __init__(self, track: Track, test: Any) -> None:
        self.track, self.test = track, test

    def before_fit(self) -> None:
        """Preparation is over."""
        self.track.training_starts()

    def after_epoch(self) -> None:
        """Judge, where it is due."""
        self.track.epoch_ends(self.epoch + 1, lambda: images.answers(self.learn.model, self.test))


def run(job: Job, track: Track) -> None:
    """Train and judge."""
    torch.manual_seed(job.seed)
    torch.set_num_threads(job.threads)
    names = job.labels
    table = pd.DataFrame(
        {"name": job.inputs_of("train"), "label": [names[target] for target in job.targets_of("train")]}
    )
    table["is_valid"] = False  # nobody validates; the test rows are answered while the clock stands
    table.loc[len(table)] = [*table.iloc[0, :2], True]
    data = ImageDataLoaders.from_df(
        table,
        path="/",
        valid_col="is_valid",
        item_tfms=Resize(job.image_size),
        bs=job.batch_size,
        num_workers=images.WORKERS,
    )
    # All rows train, as elsewhere, unless one would be left over, which the head's BatchNorm cannot take.
    data.train.drop_last = len(job.targets_of("train")) % job.batch_size == 1
    if list(data.vocab) != [name for name in names if name in set(table["label"])]:
        raise ValueError("fastai orders the classes otherwise.")
    learner = vision_learner(
        data,
        images.architecture(job),
        splitter=last_stages if job.regime == "partial" else None,
        **{name: value for name, value in images.pretrained(job).items() if name != "pretrained"},
    )
    test = data.test_dl([str(path) for path in job.inputs_of("test")])
    if job.regime == "partial":
        learner.freeze_to(1)
    if job.regime == "full":
        learner.unfreeze()
    with learner.no_bar(), learner.no_logging():
        fit(learner, job, Judge(track, test))


def fit(learner: Learner, job: Job, judge: Judge) -> None:
    """The quick start's default rate for a frozen body; below the head, the job's."""
    if job.regime == "probe":
        learner.fit_one_cycle(job.epochs, cbs=judge)
    else:
        learner.fit_one_cycle(job.epochs, lr_max=slice(job.rate, learner.lr), cbs=judge)


def last_stages(model: nn.Module) -> list[list[nn.Parameter]]:
    """Groups of parameters: what stays frozen, the last stages, the head."""
    body = list(model[0].named_parameters())
    names = {name.removeprefix("model."): parameter for name, parameter in body}
    frozen = [parameter for name, parameter in names.items() if not images.trains("partial", name)]
    above = [parameter for name, parameter in names.items() if images.trains("partial", name)]
    return [frozen, above, list(model[1].parameters())]


if __name__ == "__main__":
    contend(run, ("torch", "timm", "fastai"))
