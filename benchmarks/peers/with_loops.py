"""Plain PyTorch as in the tutorials: a loop over batches, with the frozen part in inference mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .job import Answers, Job, Track, contend


def run(job: Job, track: Track) -> None:
    """Train and judge."""
    torch.manual_seed(job.seed)
    torch.set_num_threads(job.threads)
    (run_images if job.modality == "image" else run_texts)(job, track)


def run_images(job: Job, track: Track) -> None:
    """The transfer-learning tutorial."""
    from . import images

    model = images.network(job)
    train, test = images.loader(job, "train"), images.loader(job, "test")

    def loss_of(batch: Any) -> Tensor:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    def to_mode() -> None:
        model.train(job.regime == "full")
        for name, child in model.named_modules():
            if name in images.LAST_STAGES and job.regime == "partial":
                child.train()

    loop(job, track, model, train, loss_of, lambda: images.answers(model, test), to_mode)


def run_texts(job: Job, track: Track) -> None:
    """The fine-tuning chapter of the Hugging Face course, in its native PyTorch form."""
    from . import texts

    tokens = texts.tokenizer(job)
    model = texts.classifier(job)
    pad = texts.collator(tokens)
    train, test = (
        DataLoader(
            texts.encoded(job, split, tokens),  # type: ignore[arg-type]
            batch_size=job.batch_size,
            shuffle=split == "train",
            collate_fn=pad,
        )
        for split in ("train", "test")
    )
    loop(
        job,
        track,
        model,
        train,
        lambda batch: model(**batch).loss,
        lambda: texts.answers(model, ({k: v for k, v in batch.items() if k != "labels"} for batch in test)),
        model.train,
    )


def loop(
    job: Job,
    track: Track,
    model: nn.Module,
    batches: Iterable[Any],
    loss_of: Callable[[Any], Tensor],
    answer: Callable[[], Answers],
    to_mode: Callable[[], object],
) -> None:
    """AdamW over what has gradients."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=job.rate)
    track.training_starts()
    for epoch in range(1, job.epochs + 1):
        to_mode()
        total = 0.0
        for batch in batches:
            optimizer.zero_grad()
            loss = loss_of(batch)
            loss.backward()
            optimizer.step()
            total += loss.item()
        track.epoch_ends(epoch, answer)


if __name__ == "__main__":
    contend(run, ("torch", "timm", "transformers"))
