"""Where a model of transformers lies, and what is read from there: configuration, weights, small files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cutpoint.backbones.hub import is_cached, network_allowed, unreachable
from cutpoint.errors import BackboneError
from cutpoint.types import Provenance

PREFIX = "hf:"


@dataclass(frozen=True)
class Place:
    """A folder or a hub repository that holds a model.

    Attributes:
        name: What transformers is given: the folder's full path, or "owner/model".
        local: Whether it is a folder.
    """

    name: str
    local: bool

    @property
    def called(self) -> str:
        """How references and reports call the model."""
        return Path(self.name).name if self.local else f"{PREFIX}{self.name}"

    @property
    def path(self) -> str | None:
        return self.name if self.local else None

    @property
    def files_only(self) -> bool:
        """Whether nothing is to be downloaded."""
        return self.local or not network_allowed()

    @property
    def provenance(self) -> Provenance:
        return Provenance(source=None if self.local else f"https://huggingface.co/{self.name}")


def find(name_or_folder: str | Path) -> Place:
    """The place that a name or a folder means.

    Raises:
        BackboneError: A hub name that is neither in the local cache nor can be downloaded.
    """
    folder = Path(name_or_folder)
    if (folder / "config.json").is_file():
        return Place(str(folder.resolve()), local=True)
    name = str(name_or_folder).removeprefix(PREFIX)
    if not is_cached(name) and not network_allowed():
        raise unreachable(f"{PREFIX}{name}")
    return Place(name, local=False)


def read_configuration(place: Place) -> Any:
    """The model's configuration.

    Raises:
        BackboneError: There is none, or transformers does not know its kind of model.
    """
    from transformers import AutoConfig

    try:
        with quiet():
            return AutoConfig.from_pretrained(place.name, local_files_only=place.files_only)
    except (OSError, ValueError, KeyError) as error:
        raise not_loaded(place, error) from error


def load_weights(place: Place, kind: Any) -> tuple[Any, dict[str, Any]]:
    """The network in float32, and what transformers reports on names that did not fit.

    Args:
        place: Where it lies.
        kind: The class whose `from_pretrained` loads it, such as AutoModel.

    Raises:
        BackboneError: It cannot be loaded.
    """
    try:
        with quiet():
            model, report = kind.from_pretrained(
                place.name, dtype=torch.float32, output_loading_info=True, local_files_only=place.files_only
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise not_loaded(place, error) from error
    return model, report


def refuse_misfits(place: Place, missing: list[str], unexpected: list[str], mismatched: Any) -> None:
    """Raises BackboneError if any weight of the network is missing, left over, or of another shape."""
    if missing or unexpected or mismatched:
        raise BackboneError(
            f"The weights of {place.name} do not fit its config.json: missing {missing[:5]}, unexpected "
            f"{unexpected[:5]}, of another shape {list(mismatched)[:5]}.",
            "fetch config.json and model.safetensors again, from one place",
        )


def read_json(place: Place, file: str) -> Any:
    """A small JSON file beside the weights; None where there is none.

    Raises:
        BackboneError: The file is damaged.
    """
    from transformers.utils import cached_file

    with quiet():
        path = cached_file(
            place.name,
            file,
            local_files_only=place.files_only,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    if path is None:
        return None
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BackboneError(f"{path} is not JSON: {error}", "fetch the backbone's folder again") from error


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no report of left-out heads from transformers: errors of ours say what matters."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def not_loaded(place: Place, error: Exception) -> BackboneError:
    """The error for a model that transformers does not load."""
    if not place.local and isinstance(error, OSError):
        return unreachable(place.called, error)
    return BackboneError(
        f"transformers cannot load {place.name}: {first_line(error)}",
        "a folder needs config.json with a model_type that transformers knows, and model.safetensors",
    )


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
