"""What a run keeps on disk, and where.

plan.json            settings, probe, calibration and trials, written before the first trial
clock.json           active seconds
journal.jsonl        what happened, in order; where the clock bound, a resumed run replays it
trials/ID/           one trial: fits/N.safetensors (running), fits/N.npz, trial.json (finished), model/
model/               the model that ships, as far as is known
result.json          everything, rewritten after every trial
report.html
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from cutpoint.errors import ArtifactError
from cutpoint.types import Record

SomeRecord = TypeVar("SomeRecord", bound=Record)


class RunFolder:
    """Paths and small files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan = path / "plan.json"
        self.clock = path / "clock.json"
        self.journal = path / "journal.jsonl"
        self.result = path / "result.json"
        self.model = path / "model"

    def trial(self, trial_id: str) -> Path:
        """Folder of one trial."""
        return self.path / "trials" / trial_id

    def note(self, event: str, **facts: Any) -> None:
        """Append to the journal."""
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **facts}) + "\n")

    def clear(self) -> None:
        """Throw away the earlier run, where there is one; `open_folder` has made sure that it is one."""
        if self.path.exists():
            shutil.rmtree(self.path)

    def events(self) -> Iterator[dict[str, Any]]:
        """The journal so far; a line cut short by a kill is left out."""
        if self.journal.exists():
            for line in self.journal.read_text(encoding="utf-8").splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    continue


def open_folder(path: Path) -> RunFolder:
    """The folder of a new or an earlier run.

    Raises:
        ArtifactError: The folder holds something that is no run.
    """
    folder = RunFolder(path)
    if not path.exists():
        return folder
    if not path.is_dir():
        raise ArtifactError(f"{path} is a file.", "Name a folder for the run with --out.")
    is_run = any(file.exists() for file in (folder.plan, folder.clock, folder.model))
    if any(path.iterdir()) and not is_run:
        raise ArtifactError(
            f"{path} is not empty and holds no run; it is left as it is.", "Choose another folder with --out."
        )
    return folder


def write_record(path: Path, record: Record) -> None:
    """Write a record as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".partial")
    draft.write_text(record.model_dump_json(indent=1), encoding="utf-8")
    draft.replace(path)


def read_record(path: Path, kind: type[SomeRecord]) -> SomeRecord | None:
    """Read a record; None where there is none.

    Raises:
        ArtifactError: The file is there and is not that record.
    """
    if not path.exists():
        return None
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, OSError) as error:
        raise ArtifactError(
            f"{path} is damaged or was written by another version.", "Start again with --restart."
        ) from error
