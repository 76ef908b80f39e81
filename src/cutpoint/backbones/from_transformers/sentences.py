"""What a folder of sentence-transformers says: how token states become a row, and how long texts may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutpoint.backbones.from_transformers.loading import Place, read_json
from cutpoint.backbones.from_transformers.reading import Pooling
from cutpoint.errors import BackboneError

_POOLINGS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "first",
    "pooling_mode_lasttoken": "last",
    "mean": "mean",
    "cls": "first",
    "lasttoken": "last",
}


@dataclass(frozen=True)
class SentenceRecipe:
    """What follows the network in sentence-transformers.

    Attributes:
        pooling: How token states become a row.
        normalised: Whether the row is scaled to length 1.
        max_length: Tokens; None if it does not say.
    """

    pooling: Pooling
    normalised: bool
    max_length: int | None


def sentence_recipe(place: Place) -> SentenceRecipe | None:
    """The recipe of a sentence encoder; None where the place holds a bare network.

    Raises:
        BackboneError: It asks for something that is not carried out here.
    """
    modules = read_json(place, "modules.json")
    if modules is None:
        return None
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        raise _not_carried_out(place, f"the parts {', '.join(kinds)}")
    limits = read_json(place, "sentence_bert_config.json") or {}
    if limits.get("do_lower_case"):
        raise _not_carried_out(place, "texts in lower case (do_lower_case)")
    pooling = read_json(place, f"{modules[1]['path']}/config.json") or {}
    return SentenceRecipe(
        pooling=_pooling(place, pooling),
        normalised=kinds[2:] == ["Normalize"],
        max_length=limits.get("max_seq_length"),
    )


def _pooling(place: Place, configuration: dict[str, Any]) -> Pooling:
    """One mode, named by a key that is true or, since version 5, by the value of "pooling_mode"."""
    named = configuration.get("pooling_mode")
    modes = [key for key, on in configuration.items() if key.startswith("pooling_mode_") and on]
    if named is not None:
        modes = [named] if isinstance(named, str) else list(named)
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise _not_carried_out(place, f"the pooling {', '.join(modes) or 'of no kind'}")
    return _POOLINGS[modes[0]]


def _not_carried_out(place: Place, what: str) -> BackboneError:
    return BackboneError(
        f"{place.name} asks for {what}, which Cutpoint does not carry out.",
        "choose a sentence encoder that takes the mean, the first or the last token; without modules.json the mean "
        "of the network's token states is taken",
    )
