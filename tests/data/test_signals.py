"""Sounds and series: what is read, what is set aside and why, and the numbers that are made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from cutpoint.data import load_dataset
from cutpoint.data.signal_numbers import SERIES_WIDTH, SOUND_WIDTH, series_numbers, sound_numbers
from cutpoint.data.signals import open_signal
from cutpoint.errors import DataError

RATE = 8_000


def tone(pitch: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)


def write(path: Path, wave: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, (wave * 32767).astype(np.int16) if wave.dtype.kind == "f" else wave)
    return path


def sounds(folder: Path, count: int = 6) -> Path:
    """Low tones and high ones."""
    for label, pitch in (("low", 300), ("high", 1_200)):
        for number in range(count):
            write(folder / label / f"{number}.wav", tone(pitch + 10 * number))
    return folder


@pytest.mark.parametrize(
    ("scaled", "precision"),
    [
        (lambda wave: (wave * 127 + 128).round().astype(np.uint8), 1e-2),
        (lambda wave: (wave * 32767).round().astype(np.int16), 1e-4),
        (lambda wave: (wave * (2**31 - 1)).round().astype(np.int32), 1e-6),
        (lambda wave: wave.astype(np.float32), 1e-7),
        (lambda wave: np.stack([wave + 0.2, wave - 0.2], axis=1).astype(np.float64), 1e-6),
    ],
)
def test_every_kind_of_samples_is_the_same_sound(tmp_path: Path, scaled: object, precision: float) -> None:
    wave = tone(440)
    wavfile.write(tmp_path / "a.wav", RATE, scaled(wave))  # type: ignore[operator]
    signal = open_signal(tmp_path / "a.wav")
    assert signal.rate == RATE and signal.values.shape == (1, len(wave))
    np.testing.assert_allclose(signal.values[0], wave, atol=precision)


def test_twenty_four_bits_are_read(tmp_path: Path) -> None:
    import wave

    samples = (tone(440) * (2**23 - 1)).astype(np.int32)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 3, RATE, len(samples), "NONE", ""))
        file.writeframes(samples.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    np.testing.assert_allclose(open_signal(tmp_path / "a.wav").values[0], tone(440), atol=1e-6)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda whole: b"", "empty file"),
        (lambda whole: whole[:44], "breaks off"),
        (lambda whole: whole[:30], "breaks off in its header"),
        (lambda whole: whole[: len(whole) // 2], "breaks off before its end"),
        (lambda whole: b"ID3" + whole, "not a .wav file"),
        (lambda whole: b"RIFFxxxxWAVEjunk", "breaks off in its header"),
        (lambda whole: whole[:20] + b"\x11\x00" + whole[22:], "compressed, or of an unknown kind (format 17"),
    ],
)
def test_damaged_sounds_are_set_aside_with_a_reason(tmp_path: Path, content: object, reason: str) -> None:
    good = sounds(tmp_path / "data", 8) / "low" / "0.wav"
    good.write_bytes(content(good.read_bytes()))  # type: ignore[operator]
    data = load_dataset(tmp_path / "data", max_unreadable=0.1)
    (aside,) = data.quarantined
    assert aside.name == "low/0.wav" and reason in aside.reason
    assert len(data) == 15 and data.modality == "signal"
    with pytest.raises(DataError, match="1 of 16 signals cannot be read"):
        load_dataset(tmp_path / "data")


def test_a_sound_without_samples_or_with_gaps_is_set_aside(tmp_path: Path) -> None:
    folder = sounds(tmp_path / "data", 20)
    write(folder / "low" / "0.wav", np.zeros(0, dtype=np.int16))
    wavfile.write(folder / "low" / "1.wav", RATE, np.full(100, np.nan, dtype=np.float32))
    reasons = {each.name: each.reason for each in load_dataset(folder).quarantined}
    assert reasons == {"low/0.wav": "it holds no samples", "low/1.wav": "NaN or infinity stands in it"}


def test_tables_of_paths_hold_sounds_and_groups(tmp_path: Path) -> None:
    sounds(tmp_path / "clips")
    rows = [f"clips/{label}/{n}.wav,{label},{label}{n // 2}" for label in ("low", "high") for n in range(6)]
    (tmp_path / "clips.csv").write_text("\n".join(["recording,label,speaker", *rows]), encoding="utf-8")
    data = load_dataset(tmp_path / "clips.csv", group="speaker")
    assert data.modality == "signal" and data.signals is not None and data.signals.rate == RATE
    assert "sounds are in the column “recording”, labels in “label”" in data.notes
    assert not set(data.groups_of(data.splits["train"])) & set(data.groups_of(data.splits["test"]))
    in_memory = load_dataset(list(data.inputs), targets=list(data.targets))
    assert in_memory.modality == "signal" and in_memory.keys == data.keys


def test_the_lowest_rate_decides_what_is_heard(tmp_path: Path) -> None:
    folder = sounds(tmp_path / "data")
    write(folder / "low" / "0.wav", tone(300, rate=44_100), 44_100)
    data = load_dataset(folder)
    assert data.signals is not None and data.signals.rate == RATE and data.signals.width == SOUND_WIDTH
    (note,) = [note for note in data.notes if "sampling rates" in note]
    assert "11 at 8,000 Hz, 1 at 44,100 Hz" in note and "above 4,000 Hz" in note


def test_keys_are_of_samples_not_of_headers(tmp_path: Path) -> None:
    first = write(tmp_path / "a.wav", tone(300))
    content = first.read_bytes()
    extra = b"LIST" + (4).to_bytes(4, "little") + b"INFO"
    (tmp_path / "b.wav").write_bytes(
        content[:4] + (len(content) + 4).to_bytes(4, "little") + content[8:] + extra
    )
    assert open_signal(first).key == open_signal(tmp_path / "b.wav").key
    assert open_signal(first).key != open_signal(write(tmp_path / "c.wav", tone(301))).key


def test_series_in_memory_are_signals_and_tables_stay_tables() -> None:
    random = np.random.default_rng(0)
    labels = ["a", "b"] * 10
    data = load_dataset(random.normal(size=(20, 3, 50)), targets=labels)
    assert data.modality == "signal" and data.signals is not None
    assert (data.signals.rate, data.signals.channels, data.signals.width) == (None, 3, 3 * SERIES_WIDTH)
    uneven = [random.normal(size=40 + number) for number in range(20)]
    assert load_dataset(uneven, targets=labels).modality == "signal"
    assert load_dataset(random.normal(size=(20, 50)), targets=labels).modality == "features"
    assert (
        load_dataset(random.integers(0, 255, (20, 8, 8)).astype(np.uint8), targets=labels).modality == "image"
    )


def test_series_that_cannot_be_compared_are_refused() -> None:
    random = np.random.default_rng(0)
    labels = ["a", "b"] * 10
    mixed = [random.normal(size=(2 + number % 2, 50)) for number in range(20)]
    with pytest.raises(DataError, match="different numbers of channels: 2, 3"):
        load_dataset(mixed, targets=labels)
    with pytest.raises(DataError, match="fewer than 16") as caught:
        load_dataset(random.normal(size=(20, 8, 8)), targets=labels)
    assert "images in memory are uint8" in caught.value.hint


def test_loudness_alone_changes_the_loudness_alone() -> None:
    wave = tone(440).astype(np.float32)
    loud, quiet = sound_numbers(wave, RATE, RATE / 2), sound_numbers(wave / 10, RATE, RATE / 2)
    np.testing.assert_allclose(loud[:-5], quiet[:-5], atol=1e-2)
    assert loud[-4] - quiet[-4] == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize("length", [1, 30, 201, 5_000])
def test_sounds_of_any_length_and_silence_have_finite_numbers(length: int) -> None:
    for wave in (np.zeros(length), np.ones(length), tone(440, 1.0)[:length]):
        numbers = sound_numbers(wave.astype(np.float32), RATE, RATE / 2)
        assert numbers.shape == (SOUND_WIDTH,) and np.isfinite(numbers).all()


def test_the_rate_of_recording_hardly_matters_below_its_highest_band() -> None:
    low = sound_numbers(tone(440).astype(np.float32), RATE, RATE / 2)
    high = sound_numbers(tone(440, rate=32_000).astype(np.float32), 32_000, RATE / 2)
    other = sound_numbers(tone(1_500).astype(np.float32), RATE, RATE / 2)
    distance, apart = np.abs(low[:32] - high[:32]).mean(), np.abs(low[:32] - other[:32]).mean()
    assert distance < apart / 2


def test_series_tell_where_and_how_fast() -> None:
    time = np.linspace(0, 1, 200)
    rising, falling = series_numbers(time[None]), series_numbers(time[None, ::-1])
    slow, fast = (series_numbers(np.sin(2 * np.pi * pitch * time)[None]) for pitch in (3, 30))
    assert rising.shape == (SERIES_WIDTH,)
    assert not np.allclose(rising, falling) and np.abs(slow - fast).max() > 1
    both = series_numbers(np.stack([time, np.sin(60 * time)]))
    np.testing.assert_allclose(both[:SERIES_WIDTH], rising)
    assert np.isfinite(series_numbers(np.zeros((2, 16)))).all()
