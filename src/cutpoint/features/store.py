"""Arrays on disk, keyed by what they were computed from: the embedding cache.

Every entry is KEY.npy (memory-mapped when read) and KEY.json (its description, size and checksum). The
description is written last, so that a partial entry is none; an entry whose description or checksum does not
fit is damaged or foreign, and is computed again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import DTypeLike, NDArray

from cutpoint.features.stored import StoredArray
from cutpoint.runtime import default_cache_folder

FORMAT = 1
DEFAULT_LIMIT = 20 << 30
_CHUNK = 8 << 20
_ABANDONED_SECONDS = 3600.0


@dataclass
class Entry:
    """An array that is being stored.

    Attributes:
        values: Where it will lie.
        array: As far as it is filled.
        arrived: Rows that were put.
    """

    values: Path
    array: StoredArray
    arrived: int = 0

    def put(self, places: NDArray[np.int64], part: NDArray[Any]) -> None:
        """Fill some rows.

        Args:
            places: Their numbers.
            part: The rows.
        """
        self.array[places] = part
        self.arrived += len(part)


class ActivationCache:
    """A folder of arrays under a size limit; the oldest-used entries make room for new ones.

    Args:
        folder: Created when the first array is written.
        limit: Bytes of all entries together.
    """

    def __init__(self, folder: Path | None = None, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = folder or default_cache_folder()
        self.limit = limit
        self._verified: set[str] = set()

    def fits(self, size: int) -> bool:
        """Whether an array of that many bytes may be stored at all."""
        return size <= self.limit

    def read(self, description: Mapping[str, Any]) -> NDArray[Any] | None:
        """The array of that description, memory-mapped read-only; None where there is no sound one."""
        key = _key(description)
        values, facts = self._paths(key)
        try:
            stated = json.loads(facts.read_text(encoding="utf-8"))
            if stated["description"] != _plain(description) or stated["size"] != values.stat().st_size:
                return None
            if key not in self._verified and _checksum(values) != stated["checksum"]:
                return None
            array = _mapped(values)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        self._verified.add(key)
        os.utime(facts)
        return array

    def write(
        self,
        description: Mapping[str, Any],
        shape: tuple[int, ...],
        dtype: DTypeLike,
        parts: Iterable[tuple[NDArray[np.int64], NDArray[Any]]],
    ) -> NDArray[Any]:
        """Store an array that arrives in parts; returns it memory-mapped read-only.

        Args:
            description: What it was computed from.
            shape: Of the whole.
            dtype: Of its values.
            parts: (numbers of rows, those rows), every row once, in any order.
        """
        with self.storing(description, shape, dtype) as entry:
            for places, part in parts:
                entry.put(places, part)
        return _mapped(entry.values)

    @contextmanager
    def storing(
        self, description: Mapping[str, Any], shape: tuple[int, ...], dtype: DTypeLike
    ) -> Iterator[Entry]:
        """The same for rows that come beside others: they are put one part after the other, and stored at the end.

        Raises:
            ValueError: Other than all rows arrived.
        """
        key = _key(description)
        values, facts = self._paths(key)
        self.folder.mkdir(parents=True, exist_ok=True)
        facts.unlink(missing_ok=True)
        self._make_room(int(np.prod(shape)) * np.dtype(dtype).itemsize, keep=key)
        partial = values.with_name(f"{key}.{os.getpid()}.partial.npy")
        try:
            array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.dtype(dtype), shape=shape)
            entry = Entry(values, array.view(StoredArray))
            yield entry
            if entry.arrived != shape[0]:
                raise ValueError(f"{entry.arrived} rows arrived for an array of {shape[0]}.")
            array.flush()
            partial.replace(values)
        finally:
            partial.unlink(missing_ok=True)
        stated = {
            "description": _plain(description),
            "size": values.stat().st_size,
            "checksum": _checksum(values),
        }
        draft = facts.with_suffix(f".{os.getpid()}.partial")
        draft.write_text(json.dumps(stated, indent=1), encoding="utf-8")
        draft.replace(facts)
        self._verified.add(key)

    def _paths(self, key: str) -> tuple[Path, Path]:
        return self.folder / f"{key}.npy", self.folder / f"{key}.json"

    def _make_room(self, size: int, keep: str) -> None:
        """Delete what interrupted writers left, then the oldest-used entries until `size` more bytes fit."""
        self._sweep()
        entries = sorted(self.folder.glob("*.json"), key=_modified)
        used = sum(_size(facts.with_suffix(".npy")) for facts in entries)
        for facts in entries:
            if used + size <= self.limit:
                return
            if facts.stem != keep:
                used -= _size(facts.with_suffix(".npy"))
                facts.unlink(missing_ok=True)
                facts.with_suffix(".npy").unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Delete values without a description that nobody has written to for a while."""
        for path in (*self.folder.glob("*.npy"), *self.folder.glob("*.partial")):
            is_left = path.suffix == ".partial" or not path.with_suffix(".json").exists()
            if is_left and time.time() - _modified(path) > _ABANDONED_SECONDS:
                path.unlink(missing_ok=True)


def _mapped(values: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(values, mmap_mode="r", allow_pickle=False)
    return array.view(StoredArray) if isinstance(array, np.memmap) else array


def _size(path: Path) -> int:
    """Bytes of a file; another process may have deleted it."""
    return path.stat().st_size if path.exists() else 0


def _modified(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def _plain(description: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps({"format": FORMAT, **description}, sort_keys=True))
    return plain


def _key(description: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(_plain(description), sort_keys=True).encode())


def _checksum(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
