"""Cutpoint through its public verb: `cutpoint.fit` with one regime, or as a race."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.peers.job import Job, Track, contend

from cutpoint.api import fit, load
from cutpoint.planning.watcher import Watcher
from cutpoint.types import Comparison, Result, Trial

from .cache_state import prepare_cache
from .libraries import import_libraries


class Milestones(Watcher):
    """Keeps a copy of every model that takes the lead, and the moment at which it stood there."""

    def __init__(self, track: Track, run: Path) -> None:
        self.track, self.run = track, run
        self.kept: list[tuple[float, Path]] = []
        self._last = ""

    def on_message(self, text: str) -> None:
        """The first model is announced by a message."""
        self._look()

    def on_trial_end(self, trial: Trial, comparison: Comparison | None) -> None:
        """A trial that takes the lead has replaced the model."""
        self._look()

    def _look(self) -> None:
        now, card = self.track.elapsed, self.run / "model" / "cutpoint.json"
        if not card.exists():
            return
        with self.track.paused():
            digest = card.read_text(encoding="utf-8")
            if digest != self._last:
                self._last = digest
                copy = self.run.with_name(f"{self.run.name}-model-{len(self.kept)}")
                shutil.copytree(self.run / "model", copy)
                self.kept.append((now, copy))


def run(job: Job, track: Track) -> None:
    """Train or race, then answer the test rows with every model that led."""
    cache, folder = Path(job.options["cache_folder"]), Path(job.scratch) / "run"
    with track.paused():
        prepare_cache(cache, job.options["cache"])
    watcher = Milestones(track, folder)
    result = fit(
        job.rows,
        backbones=job.weights,
        regimes=job.options["regimes"],
        budget=job.options["budget"],
        out=folder,
        image_size=job.image_size if job.modality == "image" else None,
        max_length=job.max_length if job.modality == "text" else None,
        input_column="input",
        target_column="label",
        task="multiclass",
        allow_leakage=True,
        seed=job.seed,
        threads=job.threads,
        device="cpu",
        cache=cache,
        watcher=watcher,
    )
    track.seconds["report"] = track.elapsed
    track.seconds["first_model"] = watcher.kept[0][0]
    track.seconds["model"] = watcher.kept[-1][0] if job.regime != "race" else track.elapsed
    track.seconds["training"] = training_seconds(result)
    if job.regime == "race":
        track.measures = {"trials": float(sum(trial.status == "finished" for trial in result.trials))}
    for seconds, model in watcher.kept:
        track.score(seconds, job.numbers_of(load(model).predict(job.inputs_of("test"))))


def training_seconds(result: Result) -> float:
    """Of the epochs that took gradient steps, over all trials and fits."""
    return sum(
        epoch.seconds
        for trial in result.trials
        for curve in trial.curves
        for epoch in curve
        if epoch.first_loss is not None
    )


if __name__ == "__main__":
    import_libraries()
    contend(run, ("cutpoint", "torch", "timm", "transformers"))
