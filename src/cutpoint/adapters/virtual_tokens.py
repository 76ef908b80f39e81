"""Learned tokens in front of a text: as embeddings (prompt tuning: Lester et al., 2021), or as keys and values in
every layer (prefix tuning: Li and Liang, 2021).

The network's own forward stays. Whoever calls it with keyword arguments asks the module `virtual_tokens` first, and
drops as many positions from the front of the states as that says it added. Neither is the identity at the start.
Unlike peft, which ignores which text of a pair a token belongs to when it puts virtual tokens in front, we keep that.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.errors import RegimeError

NAME = "virtual_tokens"
"""What the module is called on the network."""

_INITIAL_SPREAD = 0.02


class PromptTokens(nn.Module):
    """Embeddings in front of those of the text; they start as those of tokens drawn from the vocabulary.

    Args:
        network: A transformer that reads texts.
        count: Number of virtual tokens.
    """

    def __init__(self, network: Any, count: int) -> None:
        super().__init__()
        vocabulary = network.get_input_embeddings()
        drawn = torch.randint(vocabulary.num_embeddings, (count,), device="cpu")
        with torch.no_grad():
            start = vocabulary(drawn.to(vocabulary.weight.device))
        self.prompt_embeddings = nn.Parameter(start.float().clone())
        self.count = count

    def forward(self, network: Any, arguments: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """The arguments with embeddings instead of token numbers, and how many positions stand in front.

        Args:
            network: The transformer that the arguments are for.
            arguments: `input_ids` and `attention_mask`, int64 (B, tokens), perhaps `token_type_ids`, and others.

        Raises:
            RegimeError: The network has too few positions for text and virtual tokens.
        """
        _check_positions(network, arguments, self.count)
        own = network.get_input_embeddings()(arguments["input_ids"])
        prompt = self.prompt_embeddings.to(own.dtype).expand(len(own), -1, -1)
        changed = {name: value for name, value in arguments.items() if name != "input_ids"}
        changed["inputs_embeds"] = torch.cat([prompt, own], dim=1)
        changed["attention_mask"] = _put_in_front(1, self.count, arguments["attention_mask"])
        if "token_type_ids" in arguments:
            changed["token_type_ids"] = _put_in_front(0, self.count, arguments["token_type_ids"])
        return changed, self.count

    def peft_config(self, network: Any) -> dict[str, Any]:
        """How peft calls it."""
        config = network.config
        return {
            "peft_type": "PROMPT_TUNING",
            "num_virtual_tokens": self.count,
            "token_dim": self.prompt_embeddings.shape[1],
            "num_attention_heads": config.num_attention_heads,
            "num_layers": config.num_hidden_layers,
            "num_transformer_submodules": 1,
            "prompt_tuning_init": "RANDOM",
        }


class PrefixTokens(nn.Module):
    """Keys and values in front of those of the text, in every layer; they start close to zero.

    Args:
        network: A transformer that reads texts and takes earlier keys and values.
        count: Number of virtual tokens.
    """

    def __init__(self, network: Any, count: int) -> None:
        super().__init__()
        config = network.config
        self.layers = config.num_hidden_layers
        self.heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        self.width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (count, 2 * self.layers * self.heads * self.width)
        device = network.get_input_embeddings().weight.device
        self.prompt_embeddings = nn.Parameter(_INITIAL_SPREAD * torch.randn(shape).to(device))
        self.count = count

    def forward(self, network: Any, arguments: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """The arguments with earlier keys and values; no position stands in front.

        Args:
            network: The transformer that the arguments are for.
            arguments: `input_ids` and `attention_mask`, int64 (B, tokens), and others.

        Raises:
            RegimeError: The network has too few positions for text and virtual tokens, or it recomputes its
                activations and would lose the prefix.
        """
        from transformers import DynamicCache

        _check_positions(network, arguments, self.count)
        if any(getattr(child, "gradient_checkpointing", False) for child in network.modules()):
            raise RegimeError(
                "Prefix tuning does not work with gradient checkpointing: transformers drops the prefix.",
                "Switch gradient checkpointing off, or choose prompt tuning.",
            )
        changed = {
            **arguments,
            "attention_mask": _put_in_front(1, self.count, arguments["attention_mask"]),
            "past_key_values": DynamicCache(self._keys_and_values(network, len(arguments["input_ids"]))),
        }
        return changed, 0

    def _keys_and_values(self, network: Any, rows: int) -> list[tuple[Tensor, Tensor]]:
        """For each layer, two tensors (B, heads, virtual tokens, width of a head)."""
        flat = self.prompt_embeddings.to(network.get_input_embeddings().weight.dtype)
        stacked = flat.view(self.count, 2 * self.layers, self.heads, self.width).permute(1, 2, 0, 3)
        spread = stacked.unsqueeze(1).expand(-1, rows, -1, -1, -1)
        return list(zip(spread[0::2], spread[1::2], strict=True))

    def peft_config(self, network: Any) -> dict[str, Any]:
        """How peft calls it; its heads are those of keys and values."""
        return {
            "peft_type": "PREFIX_TUNING",
            "num_virtual_tokens": self.count,
            "token_dim": self.heads * self.width,
            "num_attention_heads": self.heads,
            "num_layers": self.layers,
            "num_transformer_submodules": 1,
            "encoder_hidden_size": self.heads * self.width,
            "prefix_projection": False,
        }


def add_virtual_tokens(module: nn.Module, adapter: Adapter) -> None:
    """Register them on the network, as `virtual_tokens`."""
    kind = PromptTokens if adapter.kind == "prompt" else PrefixTokens
    module.register_module(NAME, kind(module, adapter.size))


def takes_no_prompt(module: nn.Module) -> str:
    """Why the network cannot take learned embeddings in front of its text; "" where it can."""
    if not hasattr(getattr(module, "config", None), "model_type"):
        return "Prompt and prefix tuning put learned tokens before a text, and this network reads no text."
    if not _takes(module, "inputs_embeds"):
        return f"Prompt tuning needs a network that takes embeddings, and {_name(module)} does not."
    return ""


def takes_no_prefix(module: nn.Module) -> str:
    """Why the network cannot take learned keys and values in its layers; "" where it can."""
    reason = takes_no_prompt(module)
    if reason:
        return reason
    if not _takes(module, "past_key_values"):
        return (
            f"Prefix tuning needs a network that takes the keys and values of earlier tokens, and {_name(module)} "
            "does not; prompt tuning works there."
        )
    return (
        "" if _layers_are_alike(module) else f"The layers of {_name(module)} keep different keys and values."
    )


def _layers_are_alike(module: Any) -> bool:
    config = module.config
    uneven = ("kv_lora_rank", "num_kv_shared_layers", "is_heterogeneous")
    kinds = set(getattr(config, "layer_types", None) or ())
    return not any(getattr(config, name, None) for name in uneven) and kinds <= {
        "full_attention",
        "sliding_attention",
    }


def _takes(module: nn.Module, argument: str) -> bool:
    return argument in inspect.signature(module.forward).parameters


def _name(module: Any) -> str:
    return str(module.config.model_type)


def _put_in_front(value: int, count: int, rows: Tensor) -> Tensor:
    return torch.cat([rows.new_full((len(rows), count), value), rows], dim=1)


def _check_positions(network: nn.Module, arguments: dict[str, Any], count: int) -> None:
    length = arguments["input_ids"].shape[1]
    most = learned_positions(network)
    if most is not None and count + length > most:
        raise RegimeError(
            f"The text has {length} tokens, and with {count} virtual tokens that is more than the {most} positions "
            "of the network.",
            f"Cut texts to {most - count} tokens, or use fewer virtual tokens.",
        )


def learned_positions(network: nn.Module) -> int | None:
    """How many positions the network has learned, where it has learned them one by one."""
    for name, child in network.named_modules():
        if isinstance(child, nn.Embedding) and name.rpartition(".")[2] in ("position_embeddings", "wpe"):
            unused = 0 if child.padding_idx is None else child.padding_idx + 1
            return child.num_embeddings - unused
    return None
