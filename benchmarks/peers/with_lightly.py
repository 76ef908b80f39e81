"""LightlyTrain's image classification: a folder of splits, a backbone by name, so many steps."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

from . import images
from .job import Job, Track, contend

os.environ["LIGHTLY_TRAIN_EVENTS_DISABLED"] = "1"  # it reports its use over the network otherwise

import lightly_train  # isort: skip


def run(job: Job, track: Track) -> None:
    """Train and judge."""
    torch.set_num_threads(job.threads)
    scratch = Path(job.scratch)
    link(job, scratch / "train")
    link(job, scratch / "val", most=1)  # it validates at the end, which is not asked of the others
    track.training_starts()
    lightly_train.train_image_classification(
        out=scratch / "out",
        data={
            "train": scratch / "train",
            "val": scratch / "val",
            "classes": dict(enumerate(job.labels)),
        },
        model=f"timm/{images.architecture(job)}",
        steps=job.epochs * math.ceil(len(job.targets_of("train")) / job.batch_size),
        batch_size=job.batch_size,
        num_workers=images.WORKERS,
        accelerator="cpu",
        precision="32-true",
        seed=job.seed,
        overwrite=True,
        logger_args={"val_every_num_steps": 10**9},
        transform_args={"image_size": (job.image_size, job.image_size)},
        model_args={
            "backbone_freeze": job.regime == "probe",
            "lr": job.rate,
            "backbone_args": images.pretrained(job),
        },
    )
    track.epoch_ends(job.epochs, lambda: answers(job, scratch / "out"))


def answers(job: Job, out: Path) -> list[int]:
    """Of the model that it exports."""
    model = lightly_train.load_model(out / "exported_models" / "exported_last.pt")
    found: list[int] = []
    paths = job.inputs_of("test")
    for start in range(0, len(paths), job.batch_size):
        answered = model.predict_batch(paths[start : start + job.batch_size])
        found += [int(answer["labels"][0]) for answer in answered]
    return found


def link(job: Job, folder: Path, most: int | None = None) -> None:
    """The folder of classes that it reads: links to the training files of the list, or to the first few."""
    names = job.labels
    rows = list(zip(job.inputs_of("train"), job.targets_of("train"), strict=True))
    for number, (path, target) in enumerate(rows[:most]):
        place = folder / names[target] / f"{number}{Path(path).suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path)


if __name__ == "__main__":
    contend(run, ("torch", "timm", "lightly-train"))
