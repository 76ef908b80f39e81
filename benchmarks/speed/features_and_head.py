"""Cutpoint's frozen features and exact head alone: the probe without audit, plan, intervals and report.

The strength of the head's penalty is chosen by folds; each fold's own predictions, which judge a probe, are not made.
"""

from __future__ import annotations

from pathlib import Path

import torch
from benchmarks.peers.job import Job, Track, contend

from cutpoint.backbones.load import load_backbone
from cutpoint.data import load_dataset
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.heads.exact import fit_exact
from cutpoint.runtime import set_threads, tune_allocator

from .cache_state import prepare_cache
from .libraries import import_libraries


def run(job: Job, track: Track) -> None:
    """Features of the training rows, the head, and what both answer on the test rows."""
    folder = Path(job.options["cache_folder"])
    is_text = job.modality == "text"
    with track.paused():
        prepare_cache(folder, job.options["cache"])
        dataset = load_dataset(job.rows, input_column="input", target_column="label", task="multiclass")
    tune_allocator()
    set_threads(job.threads)
    size = {"max_length": job.max_length} if is_text else {"image_size": job.image_size}
    backbone = load_backbone(job.weights, modality=dataset.modality, **size)
    cache = ActivationCache(folder)
    bank = FeatureBank(backbone, dataset, dataset.splits["train"], cache, engine="auto")
    targets = dataset.targets[bank.rows]
    head = fit_exact(bank.pooled().final, targets, dataset.task, out_of_fold=False).head
    track.seconds["model"] = track.elapsed
    test = FeatureBank(backbone, dataset, dataset.splits["test"], cache, engine=bank.engine)
    with torch.inference_mode():
        answers = head(torch.from_numpy(test.pooled().final.copy())).argmax(1).tolist()
    rows = {
        dataset.inputs[int(row)]: dataset.task.labels[answer]
        for row, answer in zip(test.rows, answers, strict=True)
    }
    track.score(track.seconds["model"], job.numbers_of(rows[name] for name in job.inputs_of("test")))


if __name__ == "__main__":
    import_libraries()
    contend(run, ("cutpoint", "torch", "timm", "transformers"))
