"""Texts embedded once by sentence-transformers, and scikit-learn's logistic regression: the usual quick probe."""

from __future__ import annotations

import torch

from . import texts  # noqa: F401
from .job import Job, Track, contend

from sentence_transformers import SentenceTransformer  # isort: skip
from sklearn.linear_model import LogisticRegression  # isort: skip


def run(job: Job, track: Track) -> None:
    """Embed, solve, judge."""
    torch.set_num_threads(job.threads)
    model = SentenceTransformer(job.weights, device="cpu")
    features = model.encode(job.inputs_of("train"), batch_size=job.batch_size)
    head = LogisticRegression(max_iter=1000).fit(features, job.targets_of("train"))
    track.epoch_ends(job.epochs, lambda: head.predict(model.encode(job.inputs_of("test"))))


if __name__ == "__main__":
    contend(run, ("torch", "transformers", "sentence-transformers", "scikit-learn"))
