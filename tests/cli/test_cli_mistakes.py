"""Every mistake is told in a sentence with a hint, with exit code 2 and no traceback."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def _picture(path: Path, grey: int = 128) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (12, 12), grey).save(path)


def _class(folder: Path, label: str, count: int = 6) -> None:
    for number in range(count):
        _picture(folder / label / f"{number}.png", 10 * number)


def _missing(folder: Path) -> list[object]:
    return [folder / "absent"]


def _empty(folder: Path) -> list[object]:
    return [folder]


def _loose(folder: Path) -> list[object]:
    _picture(folder / "1.png")
    return [folder]


def _one_class(folder: Path) -> list[object]:
    _class(folder, "only")
    return [folder]


def _tiny_class(folder: Path) -> list[object]:
    _class(folder, "many")
    _class(folder, "few", 1)
    return [folder]


def _unreadable(folder: Path) -> list[object]:
    _class(folder, "a")
    _class(folder, "b")
    for number in range(4):
        (folder / "a" / f"broken{number}.jpg").write_bytes(b"not a picture")
    return [folder]


def _unknown_column(folder: Path) -> list[object]:
    _picture(folder / "a.png")
    (folder / "table.csv").write_text("path,label\na.png,x\n")
    return [folder / "table.csv", "--target-column", "colour"]


def _empty_table(folder: Path) -> list[object]:
    (folder / "table.csv").touch()
    return [folder / "table.csv"]


def _damaged_parquet(folder: Path) -> list[object]:
    (folder / "table.parquet").write_bytes(b"PAR1 but no more")
    return [folder / "table.parquet"]


def _no_table(folder: Path) -> list[object]:
    (folder / "notes.docx").write_text("x")
    return [folder / "notes.docx"]


def _good_with(*options: object) -> Callable[[Path], list[object]]:
    def make(folder: Path) -> list[object]:
        _class(folder, "a")
        _class(folder, "b")
        return [folder, *options]

    return make


MISTAKES: dict[str, tuple[Callable[[Path], list[object]], str]] = {
    "missing data": (_missing, "does not exist"),
    "empty folder": (_empty, "no images were found"),
    "images without classes": (_loose, "no class subfolders"),
    "a single class": (_one_class, "only"),
    "a class with one image": (_tiny_class, r"few \(1\)"),
    "too many unreadable files": (_unreadable, "4 of 16 images cannot be read"),
    "unknown column": (_unknown_column, "no column “colour”"),
    "empty table": (_empty_table, "is empty"),
    "damaged parquet": (_damaged_parquet, "cannot be read as PARQUET"),
    "neither folder nor table": (_no_table, "neither a folder nor a table"),
    "budget": (_good_with("--budget", "soon"), "'soon' is no length of time"),
    "no budget": (_good_with("--budget", "0s"), "longer than nothing"),
    "target": (_good_with("--target", "good"), "'good' is no target"),
    "target of another metric": (_good_with("--target", "r2>=0.5"), "'r2'"),
    "backbone": (_good_with("--backbone", "no_such_network"), "no backbone 'no_such_network'"),
    "backbone folder": (_good_with("--backbone", "./nowhere/at/all"), "no folder './nowhere/at/all'"),
    "image size of a fixed backbone": (_good_with("--image-size", "64"), "one input size only"),
    "regime": (_good_with("--regime", "linear-prob"), "no regime 'linear-prob'"),
    "regime file": (_good_with("--regime", "absent.yaml"), "cannot be read"),
    "metric": (_good_with("--metric", "beauty"), "beauty"),
    "metric of another task": (_good_with("--metric", "rmse"), "rmse"),
    "task": (_good_with("--task", "guessing"), "no task “guessing”"),
    "group": (_good_with("--group", "(patient"), "no regular expression"),
    "cut": (_good_with("--regime", "partial", "--cut", "layer99"), "layer99"),
    "cut beyond the network": (_good_with("--regime", "partial", "--cut", "999"), "999"),
    "device": (_good_with("--device", "abacus"), "The device 'abacus' is not here"),
    "cache limit": (_good_with("--cache-limit", "lots"), "“lots” is no size"),
    "test fraction": (_good_with("--test-fraction", "1.5"), "1.5 cannot be held out"),
    "per class": (_good_with("--per-class", "1"), "per_class=1"),
    "input column of a folder": (_good_with("--input-column", "x"), "has no columns"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_of_fit(cutpoint, tmp_path: Path, name: str) -> None:
    make, expected = MISTAKES[name]
    data = tmp_path / "data"
    data.mkdir()
    arguments = make(data)
    given = [] if "--backbone" in arguments else ["--backbone", "builtin:glyphs"]
    given += [] if "--regime" in arguments else ["--regime", "linear-probe"]
    ended = cutpoint("fit", *arguments, *given, "--out", tmp_path / "run")
    assert ended.code == 2, ended.err
    assert "Traceback" not in ended.err and ended.out == ""
    last = ended.err[ended.err.index("error: ") :]
    assert re.search(expected, last, re.IGNORECASE), ended.err
    assert "hint: " in last, ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit",),
        ("fit", "data", "--threads", "0"),
        ("fit", "data", "--image-size", "large"),
        ("fit", "data", "--no-such-option"),
        ("predict", "model"),
        ("nonsense",),
        ("list", "nonsense"),
    ],
)
def test_mistakes_in_the_command_line(cutpoint, arguments: tuple[str, ...]) -> None:
    ended = cutpoint(*arguments)
    assert ended.code == 2 and ended.out == ""
    assert "Usage: cutpoint" in ended.err and "Traceback" not in ended.err


def test_a_folder_of_something_else_is_left_alone(cutpoint, bars: Path, tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    ended = cutpoint("fit", bars, "--backbone", "builtin:glyphs", "--out", tmp_path, "--restart")
    assert ended.code == 2 and "left as it is" in ended.err
    assert precious.read_text() == "years of work"


def test_restart_keeps_the_earlier_run_where_the_data_are_wrong(
    cutpoint, trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    ended = cutpoint("fit", tmp_path / "absent", "--backbone", "builtin:glyphs", "--out", run, "--restart")
    assert ended.code == 2
    assert (run / "result.json").exists()


def test_an_unexpected_error_is_one_sentence(
    cutpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr("cutpoint.api.fit", broken)
    ended = cutpoint("fit", tmp_path)
    assert ended.code == 1
    assert "ZeroDivisionError: deep inside" in ended.err and "--debug" in ended.err
    assert "Traceback" not in ended.err
    monkeypatch.setenv("CUTPOINT_DEBUG", "1")
    ended = cutpoint("fit", tmp_path)
    assert ended.code == 1 and "Traceback" in ended.err and "in broken" in ended.err


def test_too_little_memory_is_a_sentence_and_no_fault(
    cutpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def greedy(*_: object, **__: object) -> None:
        np.empty((1 << 50,), dtype=np.uint8)

    monkeypatch.setattr("cutpoint.api.fit", greedy)
    ended = cutpoint("fit", tmp_path)
    assert ended.code == 2
    assert "not enough memory" in ended.err and "the same command goes on" in " ".join(ended.err.split())
    assert "fault of Cutpoint" not in ended.err and "Traceback" not in ended.err
