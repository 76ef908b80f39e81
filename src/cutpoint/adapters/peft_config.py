"""How an adapter is said in peft's words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.targets import is_transposed, role

ADAPTER_NAME = "default"


def low_rank_config(module: nn.Module, adapter: Adapter, targets: Sequence[str]) -> Any:
    """The `peft.LoraConfig` of a "lora" or "dora" adapter on these module paths."""
    from peft import LoraConfig

    return LoraConfig(
        r=adapter.size,
        lora_alpha=int(adapter.scale) if adapter.scale.is_integer() else adapter.scale,
        use_rslora=adapter.rank_stabilised,
        use_dora=adapter.kind == "dora",
        lora_dropout=adapter.dropout,
        target_modules=_pattern(module, targets),
        fan_in_fan_out=_is_transposed(module, targets),
        task_type=task_type(module),
    )


def ia3_config(module: nn.Module, targets: Sequence[str]) -> Any:
    """The `peft.IA3Config` on these module paths; the second layers of feed-forward networks scale their input."""
    from peft import IA3Config

    return IA3Config(
        target_modules=_pattern(module, targets),
        feedforward_modules=_expression([path for path in targets if role(path) == "down"]),
        fan_in_fan_out=_is_transposed(module, targets),
        task_type=task_type(module),
    )


def task_type(module: nn.Module) -> str | None:
    """Which of peft's wrappers fits the bare network: of causal language models, of other transformers, any."""
    if any(
        base.__name__.endswith("ForCausalLM") or "LMHead" in base.__name__ for base in type(module).__mro__
    ):
        return "CAUSAL_LM"
    return "FEATURE_EXTRACTION" if hasattr(getattr(module, "config", None), "model_type") else None


def _pattern(module: nn.Module, targets: Sequence[str]) -> list[str] | str:
    """Names such as ["k_proj", "q_proj"] where they mean exactly these layers, else a regular expression."""
    names = sorted({path.rpartition(".")[2] for path in targets})
    meant = {path for path, _ in module.named_modules() if path.rpartition(".")[2] in names}
    return names if meant == set(targets) else _expression(targets)


def _expression(paths: Sequence[str]) -> str:
    return "|".join(re.escape(path) for path in paths)


def _is_transposed(module: nn.Module, targets: Sequence[str]) -> bool:
    return any(is_transposed(module.get_submodule(path)) for path in targets)
