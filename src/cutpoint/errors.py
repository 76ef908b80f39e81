"""What can go wrong, as a tree. Every error is one sentence plus a hint that says what to do.

CutpointError
├── DataError            the user's data: files, columns, labels, splits
├── BackboneError        a pretrained network that cannot be had, read or cut
├── RegimeError          a regime that cannot be read or does not fit the backbone
├── ArtifactError        a model or run folder that is missing, damaged or from elsewhere
└── TrainingError        a fit that diverged or could not go on
"""

from __future__ import annotations


class CutpointError(Exception):
    """A mistake or a limit that the user can act on; `hint` says how."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nHint: {self.hint}" if self.hint else self.message


class DataError(CutpointError):
    """The data cannot be used as given."""


class BackboneError(CutpointError):
    """The backbone cannot be found, read or cut."""


class RegimeError(CutpointError):
    """The regime cannot be read, or does not fit the backbone."""


class ArtifactError(CutpointError):
    """A model or run folder is missing, damaged, or belongs to something else."""


class TrainingError(CutpointError):
    """A fit diverged or could not go on."""


class InputWarning(UserWarning):
    """Inputs that a model answers, though they look like nothing that it was trained on."""
