"""Lightning, as in its guide to transfer learning: a frozen extractor in inference mode without gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from . import images
from .job import Job, Track, contend

import lightning  # isort: skip


class Classifier(lightning.LightningModule):
    """The guide's module."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self.model = images.network(job)

    def forward(self, batch: Tensor) -> Tensor:
        """Logits (B, classes)."""
        if self.job.regime != "probe":
            return self.model(batch)
        self.model.eval()
        with torch.no_grad():
            features = self.model.forward_head(self.model.forward_features(batch), pre_logits=True)
        return self.model.get_classifier()(features)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Loss of a batch."""
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """As the guide's."""
        return torch.optim.AdamW([p for p in self.parameters() if p.requires_grad], lr=self.job.rate)


class Judge(lightning.Callback):
    """Tells the track of epochs."""

    def __init__(self, track: Track, test: Any) -> None:
        self.track, self.test = track, test

    def on_train_start(self, *_: Any) -> None:
        """Preparation is over."""
        self.track.training_starts()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Classifier) -> None:
        """Judge, where it is due."""
        self.track.epoch_ends(trainer.current_epoch + 1, lambda: images.answers(module.model, self.test))


def run(job: Job, track: Track) -> None:
    """Train and judge."""
    lightning.seed_everything(job.seed, verbose=False)
    torch.set_num_threads(job.threads)
    trainer = lightning.Trainer(
        max_epochs=job.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=job.scratch,
        callbacks=[Judge(track, images.loader(job, "test"))],
    )
    trainer.fit(Classifier(job), images.loader(job, "train"))


if __name__ == "__main__":
    contend(run, ("torch", "timm", "lightning"))
