"""Hugging Face Trainer, and PEFT for LoRA, as in their quick tours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from . import images, texts
from .job import Answers, Job, Track, contend

from peft import LoraConfig, TaskType, get_peft_model  # isort: skip
from transformers import Trainer, TrainerCallback, TrainingArguments  # isort: skip


class WithLoss(nn.Module):
    """An image network under the Trainer's contract: (loss, logits)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Logits (B, classes) and their cross-entropy."""
        logits = self.model(pixel_values)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Judge(TrainerCallback):
    """Tells the track of epochs."""

    def __init__(self, track: Track, answer: Callable[[], Answers]) -> None:
        self.track, self.answer = track, answer

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Preparation is over."""
        self.track.training_starts()

    def on_epoch_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        """Judge, where it is due."""
        self.track.epoch_ends(round(state.epoch), self.answer)


def run(job: Job, track: Track) -> None:
    """Train and judge."""
    torch.set_num_threads(job.threads)
    arguments = TrainingArguments(
        output_dir=job.scratch,
        per_device_train_batch_size=job.batch_size,
        num_train_epochs=job.epochs,
        learning_rate=job.rate,
        dataloader_num_workers=images.WORKERS if job.modality == "image" else 0,
        dataloader_pin_memory=False,
        use_cpu=True,
        seed=job.seed,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
    )
    make = image_parts if job.modality == "image" else text_parts
    model, train, collate, answer = make(job)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=train,
        data_collator=collate,
        callbacks=[Judge(track, answer)],
    )
    trainer.train()


Parts = tuple[nn.Module, Any, Callable[[Any], Any], Callable[[], Answers]]
"""Model, training set, collator, answers to the test rows."""


def image_parts(job: Job) -> Parts:
    """A timm network under the Trainer."""
    model = images.network(job)
    test = images.loader(job, "test")

    def collate(rows: list[tuple[Tensor, int]]) -> dict[str, Tensor]:
        return {
            "pixel_values": torch.stack([row[0] for row in rows]),
            "labels": torch.tensor([row[1] for row in rows]),
        }

    return WithLoss(model), images.pictures(job, "train"), collate, lambda: images.answers(model, test)


def text_parts(job: Job) -> Parts:
    """An encoder under the Trainer, its adapter injected where the regime asks for one."""
    tokens = texts.tokenizer(job)
    model = texts.classifier(job)
    if job.regime == "lora":
        lora = LoraConfig(
            task_type=TaskType.SEQ_CLS,
            r=job.options["rank"],
            lora_alpha=2 * job.options["rank"],
            lora_dropout=0.1,
        )
        model = get_peft_model(model, lora)
    pad = texts.collator(tokens)

    def answer() -> Answers:
        rows = [{k: v for k, v in row.items() if k != "labels"} for row in texts.encoded(job, "test", tokens)]
        return texts.answers(model, DataLoader(rows, batch_size=job.batch_size, collate_fn=pad))  # type: ignore[arg-type]

    return model, texts.encoded(job, "train", tokens), pad, answer


if __name__ == "__main__":
    contend(run, ("torch", "timm", "transformers", "accelerate", "peft"))
