"""Networks of transformers that read texts as backbones: encoders, and causal language models."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.digest import weights_digest
from cutpoint.backbones.from_transformers.blocks import text_blocks
from cutpoint.backbones.from_transformers.loading import Place, load_weights, refuse_misfits
from cutpoint.backbones.from_transformers.reading import Pooling, Reading, keeps_apart, takes, with_reading
from cutpoint.backbones.from_transformers.sentences import SentenceRecipe, sentence_recipe
from cutpoint.backbones.from_transformers.tokenizer import TextInputs, load_tokenizer, tokenizer_digest
from cutpoint.errors import BackboneError
from cutpoint.types import BackboneReference, Readout, TextPreprocessing

_LONGEST_UNASKED = 2048
"""Tokens of a text unless the user asks for more: some models allow a hundred thousand, which no memory holds."""
_SHORTEST = 8
_POSITION_TABLES = ("position_embeddings", "wpe", "embed_positions")


def text_backbone(
    place: Place, configuration: Any, *, readout: Readout = "pooled", max_length: int | None = None
) -> Backbone:
    """A network that reads texts as a backbone.

    Pooled features are what sentence-transformers' files beside the weights say, else the mean of the token states,
    or the last token's of a causal language model.

    Args:
        place: Where it lies.
        configuration: Its configuration.
        readout: What is read out.
        max_length: Tokens in place of the backbone's own limit.

    Raises:
        BackboneError: A damaged folder, a network that does not do what is asked for, or a limit beyond its own.
    """
    causal = is_causal(configuration)
    _refuse(place, configuration, readout, causal)
    tokenizer = load_tokenizer(place)
    recipe = sentence_recipe(place) if readout == "pooled" else None
    network = _load_network(place, readout)
    reading = _reading(network, tokenizer, recipe, readout, causal)
    module = _read_by(network, reading)
    vocabulary = _vocabulary(place, network, tokenizer)
    inputs = TextInputs(
        TextPreprocessing(
            readout=readout,
            max_length=_max_length(place, network, tokenizer, recipe, max_length),
            pooling=reading.pooling,
            normalised=reading.normalised,
            template=_template(tokenizer, readout),
            tokenizer_digest=tokenizer_digest(tokenizer),
            made_by=f"transformers.{type(tokenizer).__name__}",
        ),
        tokenizer,
        vocabulary,
    )
    blocks, output = text_blocks(module, inputs.noise(1))
    if readout == "language":
        reading = replace(reading, packs=keeps_apart(module, inputs.noise(2)))
        network.reading = reading
    return Backbone(
        reference=BackboneReference(
            kind="transformers",
            name=place.called,
            path=place.path,
            readout=readout,
            max_length=max_length,
            digest=weights_digest(module),
        ),
        module=module,
        blocks=blocks,
        inputs=inputs,
        width=int(output.shape[-1]),
        provenance=place.provenance,
        rebuild=partial(_rebuild, network.config, reading),
    )


def is_causal(configuration: Any) -> bool:
    """Whether a model predicts the next token from those before it, and is made for nothing else."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    kind = configuration.model_type
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def _refuse(place: Place, configuration: Any, readout: Readout, causal: bool) -> None:
    if getattr(configuration, "is_encoder_decoder", False):
        raise BackboneError(
            f"{place.called} is a {configuration.model_type} model with an encoder and a decoder.",
            "choose an encoder (BERT, DeBERTa, ModernBERT, MiniLM) or a causal language model (Llama, Qwen, GPT-2)",
        )
    if readout == "language" and not causal:
        raise BackboneError(
            f"{place.called} is a {configuration.model_type} encoder; it does not predict the next token.",
            "choose a causal language model (Llama, Qwen, Mistral, GPT-2)",
        )


def _load_network(place: Place, readout: Readout) -> Any:
    """The network without a pooler of its own, whose weights nothing here reads."""
    from transformers import AutoModel, AutoModelForCausalLM

    network, report = load_weights(place, AutoModelForCausalLM if readout == "language" else AutoModel)
    own = {name.partition(".")[0] for name in network.state_dict()} - {"pooler"}
    missing = [key for key in report["missing_keys"] if key.partition(".")[0] != "pooler"]
    unexpected = [key for key in report["unexpected_keys"] if key.partition(".")[0] in own]
    refuse_misfits(place, missing, unexpected, report["mismatched_keys"])
    return network


def _read_by(network: Any, reading: Reading) -> nn.Module:
    if getattr(network, "pooler", None) is not None:
        network.pooler = None
    return with_reading(network, reading)


def _rebuild(configuration: Any, reading: Reading) -> nn.Module:
    from transformers import AutoModel, AutoModelForCausalLM

    kind = AutoModelForCausalLM if reading.readout == "language" else AutoModel
    return _read_by(kind.from_config(configuration), reading)


def _reading(
    network: Any, tokenizer: Any, recipe: SentenceRecipe | None, readout: Readout, causal: bool
) -> Reading:
    pooling: Pooling = "none"
    if readout == "pooled":
        pooling = recipe.pooling if recipe else "last" if causal else "mean"
    padding = network.get_input_embeddings().padding_idx  # where positions are counted, this does not count
    own = tokenizer.pad_token_id if padding is None else padding
    return Reading(
        readout=readout,
        pooling=pooling,
        normalised=recipe.normalised if recipe else False,
        filler=own or 0,
        takes_segments=takes(network, "token_type_ids") and getattr(network.config, "type_vocab_size", 0) > 1,
        takes_cache=causal and takes(network, "use_cache"),
    )


def _vocabulary(place: Place, network: Any, tokenizer: Any) -> int:
    """Token numbers that the network knows."""
    known = int(network.get_input_embeddings().num_embeddings)
    if len(tokenizer) > known:
        raise BackboneError(
            f"The tokenizer of {place.name} has {len(tokenizer)} tokens, and its network knows {known}.",
            "fetch the weights and the tokenizer from one place",
        )
    return known


def _template(tokenizer: Any, readout: Readout) -> Any:
    if readout != "language":
        return "none"
    return "tokenizer" if tokenizer.chat_template else "fallback"


def _max_length(
    place: Place, network: Any, tokenizer: Any, recipe: SentenceRecipe | None, asked: int | None
) -> int:
    """Tokens that a text may have: as asked for, else the least of what the folder's files state."""
    limit = _positions(network)
    if asked is not None:
        if not _SHORTEST <= asked <= (limit or asked):
            raise BackboneError(
                f"{place.called} takes no texts of {asked} tokens.",
                f"choose a length from {_SHORTEST} to {limit or 'as many as memory allows'}",
            )
        return asked
    stated = (limit, tokenizer.model_max_length, recipe.max_length if recipe else None)
    return min(_LONGEST_UNASKED, *(each for each in stated if each is not None))


def _positions(network: Any) -> int | None:
    """Positions that the network has; None if it has no limit.

    Where its table of positions has a row for padding (RoBERTa, MPNet), those up to this row serve no token.
    """
    limits = [getattr(network.config, "max_position_embeddings", None)]
    for path, child in network.named_modules():
        if isinstance(child, nn.Embedding) and path.rpartition(".")[2] in _POSITION_TABLES:
            unused = 0 if child.padding_idx is None else child.padding_idx + 1
            limits.append(child.num_embeddings - unused)
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None
