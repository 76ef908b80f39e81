"""Folders of images: layouts, files that are set aside or ignored, and folders that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutpoint.data import content_hash, load_dataset, summarise
from cutpoint.data.natural_order import natural_key
from cutpoint.errors import DataError

Picture = Callable[[Path], Path]


@pytest.fixture
def picture() -> Picture:
    """Writes a small image of new content at each call."""
    random = np.random.default_rng(0)

    def write(file: Path) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)
        return file

    return write


@pytest.fixture
def animals(tmp_path: Path, picture: Picture) -> Path:
    for label, count in (("cat", 20), ("dog", 10)):
        for number in range(count):
            picture(tmp_path / "animals" / label / f"{number}.png")
    return tmp_path / "animals"


def test_class_folders_are_split_by_class(animals: Path) -> None:
    data = load_dataset(animals)
    assert data.task.kind == "binary"
    assert data.task.labels == ("cat", "dog")
    assert data.task.metric == "accuracy"
    assert data.test_origin == "held out"
    assert summarise(data).class_counts == {"train": {"cat": 16, "dog": 8}, "test": {"cat": 4, "dog": 2}}
    assert data.names[:3] == ("cat/0.png", "cat/1.png", "cat/2.png")
    assert data.names[10] == "cat/10.png"
    assert len(set(data.keys)) == 30
    assert not set(data.splits["train"]) & set(data.splits["test"])


def test_the_split_follows_the_seed_alone(animals: Path, tmp_path: Path) -> None:
    first = load_dataset(animals)
    assert content_hash(load_dataset(animals)) == content_hash(first)
    assert content_hash(load_dataset(animals, seed=1)) != content_hash(first)
    animals.rename(tmp_path / "moved")
    moved = load_dataset(tmp_path / "moved")
    assert content_hash(moved) == content_hash(first)
    assert Path(moved.inputs[0]).exists()


def test_the_hash_follows_labels_and_content(animals: Path, picture: Picture) -> None:
    before = content_hash(load_dataset(animals))
    (animals / "dog").rename(animals / "dot")
    renamed = content_hash(load_dataset(animals))
    picture(animals / "cat" / "0.png")
    assert len({before, renamed, content_hash(load_dataset(animals))}) == 3


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_given_splits_stay(tmp_path: Path, picture: Picture, validation: str) -> None:
    for split in ("train", validation, "test"):
        for label in "ab":
            for number in range(3):
                picture(tmp_path / split / label / f"{number}.png")
    data = load_dataset(tmp_path)
    assert data.test_origin == "given"
    for split, folder in (("train", "train"), ("val", validation), ("test", "test")):
        assert {data.names[row].split("/")[0] for row in data.splits[split]} == {folder}
        assert len(data.splits[split]) == 6


def test_a_class_called_train_is_a_class(tmp_path: Path, picture: Picture) -> None:
    for label in ("train", "bus"):
        for number in range(4):
            picture(tmp_path / label / f"{number}.png")
    assert load_dataset(tmp_path).task.labels == ("bus", "train")


def test_a_lone_train_folder_gives_a_held_out_test(tmp_path: Path, picture: Picture) -> None:
    for label in "ab":
        for number in range(5):
            picture(tmp_path / "train" / label / f"{number}.png")
    data = load_dataset(tmp_path)
    assert data.task.labels == ("a", "b")
    assert data.test_origin == "held out"
    assert len(data.splits["test"]) == 2


def test_classes_are_in_natural_order(tmp_path: Path, picture: Picture) -> None:
    for label in ("10", "9", "-1", "2"):
        for number in range(3):
            picture(tmp_path / label / f"{number}.png")
    assert load_dataset(tmp_path).task.labels == ("-1", "2", "9", "10")
    assert sorted(["b10", "B2", "b2", "a"], key=natural_key) == ["a", "B2", "b2", "b10"]


def test_endings_in_any_case_links_and_deeper_folders(
    tmp_path: Path, picture: Picture, animals: Path
) -> None:
    picture(tmp_path / "more" / "x.jpg").rename(animals / "cat" / "x.JPEG")
    (animals / "dog" / "linked").symlink_to(tmp_path / "more")
    (animals / "dog" / "circle").symlink_to(animals / "dog")
    picture(tmp_path / "more" / "deep.TIF")
    data = load_dataset(animals)
    assert "cat/x.JPEG" in data.names
    assert "dog/linked/deep.TIF" in data.names
    assert len(data) == 32


def test_other_files_are_counted_and_hidden_ones_passed_over(animals: Path) -> None:
    (animals / "cat" / "Thumbs.db").write_bytes(b"x")
    (animals / "readme.txt").write_text("x")
    (animals / "cat" / "._0.png").write_bytes(b"x")
    (animals / "cat" / ".DS_Store").write_bytes(b"x")
    (animals / "empty").mkdir()
    data = load_dataset(animals)
    assert len(data) == 30
    assert data.quarantined == ()
    assert "files ignored because they are no images: 2" in data.notes
    assert "folders without images were ignored: empty" in data.notes


def test_unreadable_files_are_set_aside_by_name(
    animals: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    (animals / "cat" / "empty.png").write_bytes(b"")
    (animals / "cat" / "text.png").write_text("hello")
    noise = animals / "cat" / "cut.jpg"
    Image.effect_noise((99, 99), 80).save(noise)
    noise.write_bytes(noise.read_bytes()[:1500])
    Image.new("L", (101, 100)).save(animals / "dog" / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    data = load_dataset(animals, max_unreadable=0.2)
    reasons = {item.name: item.reason for item in data.quarantined}
    assert set(reasons) == {"cat/empty.png", "cat/text.png", "cat/cut.jpg", "dog/bomb.png"}
    assert reasons["cat/empty.png"] == "empty file"
    assert "not an image" in reasons["cat/text.png"]
    assert "truncated" in reasons["cat/cut.jpg"]
    assert "101 × 100 pixels" in reasons["dog/bomb.png"]
    assert len(data) == len(data.inputs) == len(data.targets) == len(data.keys) == 30
    assert not set(reasons) & set(data.names)
    assert not [warning for warning in recwarn if "PIL" in str(warning.filename)]
    with pytest.raises(
        DataError, match=r"4 of 34 images cannot be read, more than 5 %.*empty\.png"
    ) as caught:
        load_dataset(animals)
    assert "--max-unreadable" in caught.value.hint


def test_a_large_jpeg_cut_short_is_found_by_the_quick_decode(animals: Path) -> None:
    whole = animals / "cat" / "large.jpg"
    Image.effect_noise((1200, 900), 60).convert("RGB").save(whole)
    content = whole.read_bytes()
    (animals / "cat" / "short.jpg").write_bytes(content[: len(content) * 9 // 10])
    data = load_dataset(animals)
    assert [item.name for item in data.quarantined] == ["cat/short.jpg"]
    assert "cat/large.jpg" in data.names


def test_progress_is_told(animals: Path) -> None:
    told: list[tuple[int, int]] = []
    load_dataset(animals, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 30) for done in range(1, 31)]


def test_few_per_class_leave_the_test_alone(animals: Path) -> None:
    whole = load_dataset(animals)
    few = load_dataset(animals, per_class=5)
    assert summarise(few).class_counts["train"] == {"cat": 5, "dog": 5}
    assert [few.names[row] for row in few.splits["test"]] == [
        whole.names[row] for row in whole.splits["test"]
    ]
    kept = {few.names[row] for row in few.splits["train"]}
    assert kept < {whole.names[row] for row in whole.splits["train"]}
    assert kept == {name for name in few.names if name not in {few.names[r] for r in few.splits["test"]}}
    by_name = dict(zip(whole.names, whole.keys, strict=True))
    assert all(by_name[name] == key for name, key in zip(few.names, few.keys, strict=True))
    assert kept != {
        name
        for data in [load_dataset(animals, per_class=5, seed=3)]
        for name in (data.names[row] for row in data.splits["train"])
    }
    more = load_dataset(animals, per_class=12)
    assert summarise(more).class_counts["train"] == {"cat": 12, "dog": 8}
    assert any("keep all: dog" in note for note in more.notes)
    with pytest.raises(DataError, match="per_class=1"):
        load_dataset(animals, per_class=1)


class TestGroups:
    def test_no_group_on_two_sides(self, tmp_path: Path, picture: Picture) -> None:
        for label in "ab":
            for patient in range(10):
                for number in range(1 + patient % 3):
                    picture(tmp_path / label / f"p{patient:02}_{number}.png")
        data = load_dataset(tmp_path, group=r"(p\d+)_", test_fraction=0.3)
        assert data.groups is not None
        train, test = (set(data.groups[data.splits[split]]) for split in ("train", "test"))
        assert train | test == {f"p{patient:02}" for patient in range(10)}
        assert not train & test
        assert 0.2 < len(data.splits["test"]) / len(data) < 0.4
        whole_match = load_dataset(tmp_path, group=r"p\d+")
        assert whole_match.groups is not None
        assert whole_match.groups[0] == "p00"

    def test_given_splits_with_a_common_group(self, tmp_path: Path, picture: Picture) -> None:
        for split in ("train", "test"):
            for label in "ab":
                for number in range(3):
                    picture(tmp_path / split / label / f"p{number if split == 'train' else number + 2}_x.png")
        with pytest.raises(DataError, match="groups that stand in more than one of the given splits: p2"):
            load_dataset(tmp_path, group=r"(p\d+)_")

    def test_patterns_that_do_not_fit(self, animals: Path) -> None:
        with pytest.raises(DataError, match=r"matches no name, such as cat/0\.png"):
            load_dataset(animals, group="patient")
        with pytest.raises(DataError, match=r"does not match some names: dog/0\.png.*and 5 more"):
            load_dataset(animals, group="cat/.*")
        with pytest.raises(DataError, match="no regular expression"):
            load_dataset(animals, group="(")


class TestFoldersThatCannotBeUsed:
    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="does not exist"):
            load_dataset(tmp_path / "gone")
        with pytest.raises(DataError, match="no class subfolders"):
            load_dataset(tmp_path)
        (tmp_path / "a").mkdir()
        with pytest.raises(DataError, match="no images were found in the subfolders"):
            load_dataset(tmp_path)
        (tmp_path / "data.zip").write_bytes(b"x")
        with pytest.raises(DataError, match="neither a folder nor a table"):
            load_dataset(tmp_path / "data.zip")

    def test_images_without_class_folders(self, tmp_path: Path, picture: Picture) -> None:
        picture(tmp_path / "a.png")
        with pytest.raises(DataError, match=r"holds images \(1\) but no class subfolders") as caught:
            load_dataset(tmp_path)
        assert "subfolder of its name" in caught.value.hint

    def test_a_single_class(self, tmp_path: Path, picture: Picture) -> None:
        for number in range(3):
            picture(tmp_path / "cat" / f"{number}.png")
        with pytest.raises(DataError, match="all 3 examples have the label “cat”"):
            load_dataset(tmp_path)

    def test_a_class_with_a_single_example(self, animals: Path, picture: Picture) -> None:
        picture(animals / "emu" / "0.png")
        with pytest.raises(DataError, match=r"too few examples \(fewer than 2\) of some classes: emu \(1\)"):
            load_dataset(animals)

    def test_a_class_that_only_the_test_split_has(self, tmp_path: Path, picture: Picture) -> None:
        for split, labels in (("train", "ab"), ("test", "abc")):
            for label in labels:
                for number in range(3):
                    picture(tmp_path / split / label / f"{number}.png")
        with pytest.raises(DataError, match="test split holds classes that the training split lacks: c"):
            load_dataset(tmp_path)

    def test_a_class_that_the_test_split_lacks_is_noted(self, tmp_path: Path, picture: Picture) -> None:
        for split, labels in (("train", "abc"), ("test", "ab")):
            for label in labels:
                for number in range(3):
                    picture(tmp_path / split / label / f"{number}.png")
        assert "classes without test examples (given split): c" in load_dataset(tmp_path).notes

    def test_splits_without_train_or_without_labels(self, tmp_path: Path, picture: Picture) -> None:
        for split in ("val", "test"):
            picture(tmp_path / "x" / split / "a" / "0.png")
        with pytest.raises(DataError, match="no train folder"):
            load_dataset(tmp_path / "x")
        for split in ("train", "val"):
            picture(tmp_path / "y" / split / "a" / "0.png")
        picture(tmp_path / "y" / "test" / "0.png")
        with pytest.raises(DataError, match="has no class subfolders, so its images have no labels"):
            load_dataset(tmp_path / "y")

    def test_nothing_readable(self, tmp_path: Path) -> None:
        for name in ("a/0.png", "a/1.png", "b/0.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        with pytest.raises(DataError, match="no image can be read"):
            load_dataset(tmp_path, max_unreadable=1)

    def test_a_split_or_a_class_that_vanishes(self, tmp_path: Path, picture: Picture) -> None:
        for split in ("train", "test"):
            for label in "ab":
                for number in range(3):
                    picture(tmp_path / split / label / f"{number}.png")
        (tmp_path / "train" / "c").mkdir()
        (tmp_path / "train" / "c" / "0.png").touch()
        notes = load_dataset(tmp_path, max_unreadable=0.5).notes
        assert "labels that vanish because none of their images can be read: c" in notes
        for file in (tmp_path / "test").rglob("*.png"):
            file.write_text("x")
        with pytest.raises(DataError, match="none of the test images can be read"):
            load_dataset(tmp_path, max_unreadable=0.9)

    def test_arguments_that_do_not_fit_a_folder(self, animals: Path) -> None:
        with pytest.raises(DataError, match="has no columns"):
            load_dataset(animals, target_column="label")
        with pytest.raises(DataError, match="targets go with inputs in memory"):
            load_dataset(animals, targets=[1, 2])
        with pytest.raises(DataError, match="cannot be held out"):
            load_dataset(animals, test_fraction=1.5)
        with pytest.raises(DataError, match="largest share of unreadable images cannot be 5"):
            load_dataset(animals, max_unreadable=5)
        with pytest.raises(DataError, match="no task “ranking”"):
            load_dataset(animals, task="ranking")


@pytest.mark.parametrize(
    ("name", "train", "test", "classes"),
    [("clothing10", 2266, 713, 10), ("deeppcb6", 2040, 720, 6), ("bccd3", 1153, 280, 3)],
)
def test_real_folders(shared: Path, name: str, train: int, test: int, classes: int) -> None:
    data = load_dataset(shared / "data" / "vision" / name)
    summary = summarise(data)
    assert summary.rows == {"train": train, "test": test}
    assert len(data.task.labels) == classes
    assert data.quarantined == ()
    if name == "clothing10":
        assert max(summary.class_counts["train"].values()) == 588
        assert min(summary.class_counts["train"].values()) == 82
