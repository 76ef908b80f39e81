"""The floor for texts: sentences sorted by length, so that little is padded, embedded once; a logistic head."""

from __future__ import annotations

import numpy as np
import torch
from benchmarks.peers.job import Job, Track, contend
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.runtime import tune_allocator

import_torchvision()

from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase  # noqa: E402


def run(job: Job, track: Track) -> None:
    """Embed and solve."""
    tune_allocator()
    torch.set_num_threads(job.threads)
    tokens = AutoTokenizer.from_pretrained(job.weights)
    model = AutoModel.from_pretrained(job.weights).eval()
    features = embedded(job, "train", tokens, model)
    track.measures["features"] = track.elapsed
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    head.fit(features, job.targets_of("train"))
    track.epoch_ends(job.epochs, lambda: head.predict(embedded(job, "test", tokens, model)))


@torch.inference_mode()
def embedded(job: Job, split: str, tokens: PreTrainedTokenizerBase, model: PreTrainedModel) -> np.ndarray:
    """(rows, width) means of token states."""
    texts = job.inputs_of(split)
    numbers = tokens(texts, truncation=True, max_length=job.max_length)["input_ids"]
    order = sorted(range(len(texts)), key=lambda row: len(numbers[row]))
    features = np.empty((len(texts), model.config.hidden_size), dtype=np.float32)
    for start in range(0, len(order), job.batch_size):
        rows = order[start : start + job.batch_size]
        batch = tokens.pad({"input_ids": [numbers[row] for row in rows]}, return_tensors="pt")
        states = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        features[rows] = ((states * mask).sum(1) / mask.sum(1)).numpy()
    return features


if __name__ == "__main__":
    contend(run, ("torch", "transformers", "scikit-learn"))
