"""Sounds and series through the whole product: race, finding, model folder, predictions on new files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

import cutpoint as cp
from cutpoint.audit.content import examine_content
from cutpoint.backbones.signals import signal_backbone
from cutpoint.cli.answers import Answers
from cutpoint.cli.asked import asked_of
from cutpoint.data import load_dataset
from cutpoint.errors import DataError
from cutpoint.survey.raw_data import raw_data
from cutpoint.types import Result

RATE = 8_000


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sweep(start: float, end: float, random: np.random.Generator) -> np.ndarray:
    """A tone that glides from one pitch to another, of random length and loudness, in noise."""
    seconds = random.uniform(0.2, 0.4)
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * (start * time + (end - start) * time**2 / (2 * seconds))
    wave = random.uniform(0.1, 0.6) * np.sin(phase) + random.normal(0, 0.01, len(time))
    return (wave * 32767).astype(np.int16)


def write_sweeps(folder: Path, count: int) -> Path:
    """Two classes with the same pitches, in the order up or down."""
    random = np.random.default_rng(count)
    for label, ends in (("up", (400, 1_600)), ("down", (1_600, 400))):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            wavfile.write(folder / label / f"{number}.wav", RATE, sweep(*ends, random))
    return folder


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("sweeps")
    data = write_sweeps(folder / "data", 30)
    result = cp.fit(data, regimes="linear-probe", out=folder / "run", cache=folder / "cache", threads=1)
    return folder, result


def test_the_race_tells_that_no_backbone_fits_and_learns_the_course(sweeps: tuple[Path, Result]) -> None:
    _, result = sweeps
    assert result.verdict is not None and result.test is not None and result.test.value >= 0.9
    (finding,) = [each for each in result.verdict.findings if each.code == "raw-signal"]
    assert "8,000 samples a second" in finding.evidence and "spectrogram" in finding.remedy


def test_the_saved_model_alone_reads_new_sounds(sweeps: tuple[Path, Result], tmp_path: Path) -> None:
    _, result = sweeps
    new = write_sweeps(tmp_path / "new", 3)
    (new / "broken.wav").write_bytes(b"RIFF")
    wavfile.write(new / "dull.wav", 4_000, np.ones(400, dtype=np.int16))
    model = cp.load(result.best)
    answers = {
        Path(each.name).relative_to(new).as_posix(): each
        for each in Answers(model, asked_of(model, [str(new)]), with_probabilities=False)
    }
    assert "not a .wav file" in answers["broken.wav"].error
    assert "4,000 samples a second" in answers["dull.wav"].error
    right = [each.prediction == name.split("/")[0] for name, each in answers.items() if "/" in name]
    assert len(right) == 6 and sum(right) >= 5
    assert cp.evaluate(model, write_sweeps(tmp_path / "labelled", 10)).value >= 0.8


def test_series_in_memory_race_and_are_answered(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = ["slow", "fast"] * 25
    series = random.normal(0, 0.3, (50, 2, 60))
    series[:, 0] += [np.sin(np.arange(60) * (0.2 if label == "slow" else 1.1)) for label in labels]
    result = cp.fit(
        series,
        targets=labels,
        regimes="linear-probe",
        out=tmp_path / "run",
        cache=tmp_path / "cache",
        threads=1,
    )
    model = cp.load(result.best)
    assert np.mean([a == b for a, b in zip(model.predict(series), labels, strict=True)]) > 0.9
    assert cp.evaluate(model, series, targets=labels).value > 0.9
    with pytest.raises(DataError, match="has 1 channels; the model reads 2"):
        model.predict([series[0, 0]])


def test_the_audit_finds_copies_and_silence(tmp_path: Path) -> None:
    folder = write_sweeps(tmp_path / "data", 12)
    for split in ("train", "test"):
        (folder / split).mkdir()
        for label in ("up", "down"):
            (folder / split / label).mkdir()
    for label in ("up", "down"):
        for number in range(12):
            split = "test" if number > 8 else "train"
            (folder / label / f"{number}.wav").rename(folder / split / label / f"{number}.wav")
        (folder / label).rmdir()
    copied = (folder / "train" / "up" / "0.wav").read_bytes()
    (folder / "test" / "up" / "copy.wav").write_bytes(copied)
    wavfile.write(folder / "train" / "up" / "none.wav", RATE, np.zeros(900, dtype=np.int16))
    audit = examine_content(load_dataset(folder)).audit
    (leak,) = audit.leaks
    assert leak.code == "leaked-duplicates" and "the same samples" in leak.text
    (silence,) = [each for each in audit.findings if each.code == "silent-signals"]
    assert silence.evidence == "train/up/none.wav"
    assert "burst-shots" in audit.not_checked


def test_the_finding_differs_for_series_and_is_none_for_tables() -> None:
    random = np.random.default_rng(0)
    (finding,) = raw_data(load_dataset(random.normal(size=(20, 3, 40)), targets=["a", "b"] * 10))
    assert finding.code == "raw-signal" and "3 channels" in finding.evidence
    assert raw_data(load_dataset(random.normal(size=(20, 3)), targets=["a", "b"] * 10)) == []


def test_spoken_digits_of_speakers_never_heard(shared: Path, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    files = sorted((shared / "data/audio/fsdd/train").glob("*/*.wav"))[::2]
    rows = [f"{file},{file.parent.name},{file.stem.split('_')[1]}" for file in files]
    table = tmp_path / "digits.csv"
    table.write_text("\n".join(["path,label,speaker", *rows]), encoding="utf-8")
    data = load_dataset(table, group="speaker", task="multiclass")
    assert data.groups is not None and data.signals is not None
    train, test = data.splits["train"], data.splits["test"]
    assert not set(data.groups[train]) & set(data.groups[test])
    own = signal_backbone(data.signals).inputs
    numbers = np.stack([own.prepare(each) for each in data.inputs])
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=300))
    assert head.fit(numbers[train], data.targets[train]).score(numbers[test], data.targets[test]) > 0.6
