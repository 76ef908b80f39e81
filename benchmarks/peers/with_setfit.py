"""SetFit, as in its quick start, with the number of pairs of its paper."""

from __future__ import annotations

import torch

from . import texts  # noqa: F401
from .job import Job, Track, contend

from datasets import Dataset  # isort: skip
from setfit import SetFitModel, Trainer, TrainingArguments  # isort: skip


def run(job: Job, track: Track) -> None:
    """Tune on pairs, fit the head, judge."""
    torch.set_num_threads(job.threads)
    model = SetFitModel.from_pretrained(job.weights, device="cpu")
    arguments = TrainingArguments(
        output_dir=job.scratch,
        batch_size=job.options["pairs_a_step"],
        num_epochs=job.epochs,
        num_iterations=job.options["iterations"],
        max_length=job.max_length,
        seed=job.seed,
        report_to="none",
        save_strategy="no",
        show_progress_bar=False,
    )
    train = Dataset.from_dict({"text": job.inputs_of("train"), "label": job.targets_of("train")})
    trainer = Trainer(model=model, args=arguments, train_dataset=train)
    track.training_starts()
    trainer.train()
    track.epoch_ends(job.epochs, lambda: [int(number) for number in model.predict(job.inputs_of("test"))])


if __name__ == "__main__":
    contend(run, ("torch", "transformers", "sentence-transformers", "setfit"))
