"""Folders of images, sounds or texts: CLASS/* or train|val|test/CLASS/*; and folders of files that are splits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from cutpoint.data.collected import SPLITS, Collected, few, split_name
from cutpoint.data.encoding import read_utf8
from cutpoint.data.images import IMAGE_SUFFIXES
from cutpoint.data.natural_order import natural_key
from cutpoint.data.signals import SOUND_SUFFIXES, refuse_other_sounds
from cutpoint.data.table import TABLE_SUFFIXES
from cutpoint.errors import DataError
from cutpoint.types import Modality

_LAYOUT_HINT = (
    "Put the images (or .wav or .txt files) of each class into a subfolder of its name (DATA/CLASS/*, or "
    "DATA/train/CLASS/* and DATA/test/CLASS/*), or give a CSV with a path and a label column."
)
_TEXT_SUFFIXES = frozenset({".txt"})


@dataclass(frozen=True)
class _Wanted:
    """What a folder is read for: the endings of its files, and what to call them."""

    noun: str
    modality: Modality
    suffixes: frozenset[str]

    def holds(self, file: str) -> bool:
        return PurePath(file).suffix.lower() in self.suffixes


_IMAGES = _Wanted("images", "image", IMAGE_SUFFIXES)
_SOUNDS = _Wanted("sounds", "signal", SOUND_SUFFIXES)
_TEXTS = _Wanted("texts", "text", _TEXT_SUFFIXES)


def split_files(folder: Path) -> dict[Path, str]:
    """The tables, or else the .txt files, of a folder that are called as splits are, with their splits.

    Empty where there are none, and where subfolders are splits or classes: there such files are mere lists.

    Raises:
        DataError: Two files are the same split.
    """
    files = [item for item in folder.iterdir() if item.is_file() and split_name(item.stem)]
    files.sort(key=lambda item: natural_key(item.name))
    tables = [file for file in files if file.suffix.lower() in TABLE_SUFFIXES]
    found = tables or [file for file in files if _TEXTS.holds(file.name)]
    if not found or _has_classes(folder):
        return {}
    of_split = {name: [file for file in found if split_name(file.stem) == name] for name in SPLITS}
    for split, own in of_split.items():
        if len(own) > 1:
            raise DataError(
                f"{folder} holds several files that are its {split} split: {few([file.name for file in own])}.",
                "Leave one of them, and move the others away.",
            )
    return {own[0]: split for split, own in of_split.items() if own}


def read_folder(folder: Path, source: str) -> Collected:
    """Rows of a folder of images, in natural order of their paths; of sounds, else of .txt files where it holds none.

    Hidden files and folders are passed over; other files that are no images are counted in the notes. Images
    may lie any number of folders deep below their class. Links are followed.

    Raises:
        DataError: The folder holds no class subfolder with images, sounds or texts, or a text that is not UTF-8.
    """
    wanted = next((each for each in (_IMAGES, _SOUNDS, _TEXTS) if _any(folder, each)), _IMAGES)
    subfolders = _subfolders(folder)
    splits = _split_folders(folder, subfolders)
    notes: list[str] = []
    rooms: list[tuple[Path, str | None]] = []
    if splits:
        passed_over = [sub.name for sub in subfolders if sub not in splits]
        if passed_over:
            notes.append(f"folders beside the splits are ignored: {few(passed_over)}")
        rooms.extend(splits.items())
    else:
        rooms.append((folder, None))
    files: list[str] = []
    labels: list[str] = []
    split_of: list[str] = []
    ignored = 0
    for room, split in rooms:
        found, classes, not_images = _read_classes(room, notes, folder, wanted)
        ignored += not_images
        files += found
        labels += classes
        split_of += [split] * len(found) if split else []
    if ignored:
        notes.append(f"files ignored because they are no {wanted.noun}: {ignored:,}")
    root = folder.absolute()
    return Collected(
        source=source,
        modality=wanted.modality,
        inputs=[read_utf8(Path(file)) for file in files] if wanted is _TEXTS else files,
        labels=labels,
        names=[PurePath(file).relative_to(root).as_posix() for file in files],
        splits=split_of if splits else None,
        labels_are_classes=True,
        notes=tuple(notes),
    )


def images_in(folder: Path) -> list[Path]:
    """All images below a folder, in natural order of their paths; hidden files are passed over."""
    return _files_in(folder, _IMAGES)


def sounds_in(folder: Path) -> list[Path]:
    """All sounds below a folder, likewise."""
    return _files_in(folder, _SOUNDS)


def _files_in(folder: Path, wanted: _Wanted) -> list[Path]:
    return [Path(file) for file in _sorted(file for file in _walk(folder) if wanted.holds(file))]


def _subfolders(folder: Path) -> list[Path]:
    found = [item for item in folder.iterdir() if item.is_dir() and not item.name.startswith((".", "__"))]
    return sorted(found, key=lambda item: natural_key(item.name))


def _split_folders(folder: Path, subfolders: list[Path]) -> dict[Path, str]:
    """Split of each subfolder that is one; empty where the subfolders are classes.

    A lone "train" among other names may well be a class (train, bus, car), so the subfolders are splits where
    all of them are called so, or at least a train and one other split are there.
    """
    named = {sub: split for sub in subfolders if (split := split_name(sub.name)) and _subfolders(sub)}
    kinds = set(named.values())
    if not named or (len(kinds) < 2 and len(named) < len(subfolders)):
        return {}
    if "train" not in kinds:
        raise DataError(
            f"{folder} holds {few([sub.name for sub in named])} but no train folder.",
            "Add a train folder, or give the folder of one split so that a test part is held out from it.",
        )
    unlabelled = [sub for sub in subfolders if split_name(sub.name) and sub not in named]
    if unlabelled:
        raise DataError(
            f"{unlabelled[0]} has no class subfolders, so its images have no labels.",
            "Sort them into class subfolders, or move the folder away: a test part is then held out.",
        )
    return named


def _any(folder: Path, wanted: _Wanted) -> bool:
    return any(wanted.holds(file) for file in _walk(folder))


def _has_classes(folder: Path) -> bool:
    """Whether the subfolders are splits, or several that hold images, sounds or texts. A single one is where the tables
    beside it find their images."""
    subfolders = _subfolders(folder)
    if any(split_name(sub.name) for sub in subfolders):
        return True
    return sum(any(_any(sub, each) for each in (_IMAGES, _SOUNDS, _TEXTS)) for sub in subfolders) > 1


def _read_classes(
    room: Path, notes: list[str], root: Path, wanted: _Wanted
) -> tuple[list[str], list[str], int]:
    """Wanted files of a folder of classes, by absolute path, their labels, and the number of other files."""
    classes = _subfolders(room)
    loose = [item.name for item in room.iterdir() if item.is_file() and not item.name.startswith(".")]
    loose_wanted = [name for name in loose if wanted.holds(name)]
    wanted_files: list[str] = []
    labels: list[str] = []
    ignored = len(loose) - len(loose_wanted)
    empty = []
    for class_folder in classes:
        files = list(_walk(class_folder.absolute()))
        found = _sorted(file for file in files if wanted.holds(file))
        ignored += len(files) - len(found)
        if not found:
            empty.append(class_folder.relative_to(root).as_posix())
        wanted_files += found
        labels += [class_folder.name] * len(found)
    if not wanted_files:
        refuse_other_sounds(room, _walk(room))
        _raise_none_found(room, len(loose_wanted), len(classes), wanted.noun)
    if empty:
        notes.append(f"folders without {wanted.noun} were ignored: {few(empty)}")
    if loose_wanted:
        notes.append(
            f"{wanted.noun} ignored because they lie outside of any class folder: {len(loose_wanted):,}"
        )
    return wanted_files, labels, ignored


def _sorted(files: Iterable[str]) -> list[str]:
    return sorted(files, key=lambda file: natural_key(PurePath(file).as_posix()))


def _walk(folder: Path) -> Iterator[str]:
    """Files below a folder but hidden ones; a link back to a folder already seen is not followed.

    Text, since a hundred thousand `Path` objects take far more memory.
    """
    seen = set()
    for parent, subfolders, files in os.walk(folder, followlinks=True):
        real = Path(parent).resolve()
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = [name for name in subfolders if not name.startswith((".", "__"))]
        yield from (str(PurePath(parent, name)) for name in files if not name.startswith("."))


def _raise_none_found(room: Path, loose: int, classes: int, noun: str) -> None:
    if loose:
        raise DataError(f"{room} holds {noun} ({loose:,}) but no class subfolders.", _LAYOUT_HINT)
    if classes:
        raise DataError(f"no {noun} were found in the subfolders of {room} ({classes:,}).", _LAYOUT_HINT)
    raise DataError(f"no {noun} were found: {room} holds no class subfolders.", _LAYOUT_HINT)
