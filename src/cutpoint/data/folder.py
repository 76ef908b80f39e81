"""Folders of images: CLASS/* or train|val|test/CLASS/*."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cutpoint.data.collected import Collected, few, split_name
from cutpoint.data.images import IMAGE_SUFFIXES
from cutpoint.data.natural_order import natural_key
from cutpoint.errors import DataError

_LAYOUT_HINT = (
    "Put the images of each class into a subfolder of its name (DATA/CLASS/*, or DATA/train/CLASS/* and "
    "DATA/test/CLASS/*), or give a CSV with a path and a label column."
)


def read_folder(folder: Path, source: str) -> Collected:
    """Rows of a folder of images, in natural order of their paths.

    Hidden files and folders are passed over; other files that are no images are counted in the notes. Images
    may lie any number of folders deep below their class. Links are followed.

    Raises:
        DataError: The folder holds no class subfolder with images.
    """
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
    rows: list[tuple[Path, str, str | None]] = []
    ignored = 0
    for room, split in rooms:
        found, not_images = _read_classes(room, notes, folder)
        ignored += not_images
        rows += [(path, label, split) for path, label in found]
    if ignored:
        notes.append(f"files ignored because they are no images: {ignored:,}")
    return Collected(
        source=source,
        modality="image",
        inputs=[str(path.absolute()) for path, _, _ in rows],
        labels=[label for _, label, _ in rows],
        names=[path.relative_to(folder).as_posix() for path, _, _ in rows],
        splits=[split for _, _, split in rows if split] if splits else None,
        labels_are_classes=True,
        notes=tuple(notes),
    )


def images_in(folder: Path) -> list[Path]:
    """All images below a folder, in natural order of their paths; hidden files are passed over."""
    found = (file for file in _walk(folder) if file.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(found, key=lambda file: natural_key(file.as_posix()))


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


def _read_classes(room: Path, notes: list[str], root: Path) -> tuple[list[tuple[Path, str]], int]:
    """Images of a folder of classes with their labels, and the number of files that are no images."""
    classes = _subfolders(room)
    loose = [item for item in room.iterdir() if item.is_file() and not item.name.startswith(".")]
    loose_images = [item for item in loose if item.suffix.lower() in IMAGE_SUFFIXES]
    rows: list[tuple[Path, str]] = []
    ignored = len(loose) - len(loose_images)
    empty = []
    for class_folder in classes:
        files = sorted(_walk(class_folder), key=lambda item: natural_key(item.as_posix()))
        images = [item for item in files if item.suffix.lower() in IMAGE_SUFFIXES]
        ignored += len(files) - len(images)
        if not images:
            empty.append(class_folder.relative_to(root).as_posix())
        rows += [(image, class_folder.name) for image in images]
    if not rows:
        _raise_no_images(room, len(loose_images), len(classes))
    if empty:
        notes.append(f"folders without images were ignored: {few(empty)}")
    if loose_images:
        notes.append(f"images ignored because they lie outside of any class folder: {len(loose_images):,}")
    return rows, ignored


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder but hidden ones; a link back to a folder already seen is not followed."""
    seen = set()
    for parent, subfolders, files in os.walk(folder, followlinks=True):
        real = Path(parent).resolve()
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = [name for name in subfolders if not name.startswith((".", "__"))]
        yield from (Path(parent) / name for name in files if not name.startswith("."))


def _raise_no_images(room: Path, loose_images: int, classes: int) -> None:
    if loose_images:
        raise DataError(f"{room} holds images ({loose_images:,}) but no class subfolders.", _LAYOUT_HINT)
    if classes:
        raise DataError(f"no images were found in the subfolders of {room} ({classes:,}).", _LAYOUT_HINT)
    raise DataError(f"no images were found: {room} holds no class subfolders.", _LAYOUT_HINT)
