"""RUN/result.json → Result, or a sentence that says what is wrong with the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cutpoint.errors import ArtifactError
from cutpoint.types import Result

_SCHEMA = Result.model_fields["schema_version"].default


def read_result(run_folder: Path) -> Result:
    """Read and validate the result of a run.

    Raises:
        ArtifactError: The folder or its result.json is missing, damaged, or of another schema version.
    """
    file = run_folder / "result.json"
    record = _read_object(file)
    version = record.get("schema_version")
    if version != _SCHEMA:
        raise ArtifactError(
            f"{file} has schema version {version!r}; this cutpoint reads version {_SCHEMA}.",
            "Read it with the cutpoint that wrote it, or run `cutpoint fit` again into a new folder.",
        )
    try:
        return Result.model_validate_json(json.dumps(record))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "top level"
        raise ArtifactError(
            f"{file} is not a cutpoint result: {place}: {first['msg']}.",
            "The file was edited or written by another version; run `cutpoint fit` again to renew it.",
        ) from error


def _read_object(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ArtifactError(
            f"{file} does not exist.",
            "Name a run folder: the one given to `cutpoint fit … --out RUN`.",
        ) from None
    except OSError as error:
        raise ArtifactError(
            f"{file} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
    except ValueError as error:  # not UTF-8, or not JSON
        raise ArtifactError(
            f"{file} is damaged: {error}.",
            "It was cut short or edited by hand; run the same `cutpoint fit` command again to renew it.",
        ) from error
    if not isinstance(record, dict):
        raise ArtifactError(
            f"{file} is not a cutpoint result: it holds no JSON object.",
            "Name a run folder: the one given to `cutpoint fit … --out RUN`.",
        )
    return record
