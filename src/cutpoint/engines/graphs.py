"""Converted programs on disk, with what was measured of them, under a size limit."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import xxhash
from pydantic import ValidationError

from cutpoint.types import Record

SomeRecord = TypeVar("SomeRecord", bound=Record)


class GraphFolder:
    """ONNX files, and small JSON records beside them.

    Args:
        folder: Made when something is first kept.
        limit: Bytes of all graphs together; the oldest-used ones make room. With 0 nothing is kept.

    Attributes:
        seconds: Spent on making graphs so far.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self.seconds = 0.0

    def has(self, key: Mapping[str, Any]) -> bool:
        """Whether there is a graph of that key."""
        return self._graph(key).exists()

    def graph(self, key: Mapping[str, Any], size: int, make: Callable[[Path], None]) -> Path | None:
        """The file of that key, made where there is none.

        Args:
            key: What the graph is converted from, and by what.
            size: Bytes that it will take, about.
            make: Writes it to a path.

        Returns:
            None where the limit leaves no room.
        """
        path = self._graph(key)
        if path.exists():
            os.utime(path)
            return path
        if size > self.limit:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_room(size)
        draft = path.with_name(f"{path.stem}.{os.getpid()}.partial")
        started = time.perf_counter()
        try:
            make(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        self.seconds += time.perf_counter() - started
        return path

    def read(self, key: Mapping[str, Any], kind: type[SomeRecord]) -> SomeRecord | None:
        """The record of that key; None where there is no sound one."""
        try:
            text = (self.folder / f"{_name(key)}.json").read_text(encoding="utf-8")
            return kind.model_validate_json(text)
        except (OSError, ValidationError):
            return None

    def keep(self, key: Mapping[str, Any], record: Record) -> None:
        """Keep a record, whole or not at all."""
        if self.limit <= 0:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{_name(key)}.json"
        draft = path.with_name(f"{path.stem}.{os.getpid()}.draft")
        draft.write_text(record.model_dump_json(indent=1), encoding="utf-8")
        draft.replace(path)

    def _graph(self, key: Mapping[str, Any]) -> Path:
        return self.folder / f"{_name(key)}.onnx"

    def _make_room(self, size: int) -> None:
        graphs = sorted(self.folder.glob("*.onnx"), key=lambda path: path.stat().st_mtime)
        used = sum(path.stat().st_size for path in graphs)
        for path in graphs:
            if used + size <= self.limit:
                return
            used -= path.stat().st_size
            path.unlink(missing_ok=True)


def _name(key: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(dict(key), sort_keys=True).encode())
