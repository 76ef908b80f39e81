"""An adapter on disk: a folder in PEFT's format, which `peft.PeftModel.from_pretrained` loads on the bare network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.bottleneck import NAME as BOTTLENECK
from cutpoint.adapters.bottleneck import add_bottlenecks
from cutpoint.adapters.inject import inject_peft, is_adapter_parameter
from cutpoint.adapters.peft_config import ADAPTER_NAME, task_type
from cutpoint.adapters.quantise import quantise_linears
from cutpoint.adapters.targets import is_transposed
from cutpoint.adapters.virtual_tokens import NAME as VIRTUAL_TOKENS
from cutpoint.adapters.virtual_tokens import add_virtual_tokens
from cutpoint.errors import ArtifactError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
"""What PEFT writes in front of module paths."""
_RECORD = "cutpoint_adapter"
"""Key of the weights' metadata under which the adapter stands as it was written."""


def save_adapter(module: nn.Module, adapter: Adapter, folder: Path, base_name: str) -> None:
    """Write the network's adapter.

    Args:
        module: A network into which `adapter` was injected.
        adapter: What was injected.
        folder: Gets `adapter_config.json` and `adapter_model.safetensors`; made where it is absent.
        base_name: Name or folder of the bare network, for whoever loads the adapter elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {**_config(module, adapter), "base_model_name_or_path": base_name, "inference_mode": True}
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True, default=sorted) + "\n")
    weights = {key: tensor.detach().cpu().contiguous() for key, tensor in _weights(module, adapter).items()}
    # one key only: safetensors writes several in random order, and equal adapters shall be equal files
    save_file(weights, folder / WEIGHTS, metadata={_RECORD: adapter.model_dump_json()})


def load_adapter(module: nn.Module, folder: Path) -> Adapter:
    """Put the adapter of that folder into the bare network, in place, with its weights.

    Returns:
        The adapter as it was written.

    Raises:
        ArtifactError: The folder has no adapter of ours, or one of another network.
    """
    adapter, weights = _read(folder)
    if adapter.base == "nf4":
        quantise_linears(module)
    with torch.random.fork_rng(devices=[]):  # first values are overwritten: they shall cost no random numbers
        try:
            _put_in(module, adapter, folder)
        except (AttributeError, ValueError) as error:
            raise _unfit(folder, str(error)) from error
    _fill(_weights(module, adapter), weights, folder)
    return adapter


def _put_in(module: nn.Module, adapter: Adapter, folder: Path) -> None:
    if adapter.is_virtual:
        add_virtual_tokens(module, adapter)
    elif adapter.kind == "bottleneck":
        add_bottlenecks(module, json.loads((folder / CONFIG).read_text())["targets"], adapter.size)
    else:
        config = _peft_config(folder)
        # 4-bit layers stand the other way round than the layers of GPT-2 that they replace
        config.fan_in_fan_out = any(is_transposed(layer) for layer in module.modules())
        inject_peft(module, config)


def _config(module: Any, adapter: Adapter) -> dict[str, Any]:
    if adapter.kind == "bottleneck":
        end = f".{BOTTLENECK}"
        targets = [path.removesuffix(end) for path, _ in module.named_modules() if path.endswith(end)]
        return {"adapter_type": "bottleneck", "targets": targets, "hidden": adapter.size}
    if adapter.is_virtual:
        return {**module.virtual_tokens.peft_config(module), "task_type": task_type(module)}
    config = module.peft_config[ADAPTER_NAME].to_dict()
    return {key: value for key, value in config.items() if key != "runtime_config"}


def _weights(module: nn.Module, adapter: Adapter) -> dict[str, Tensor]:
    """Key in the file → the tensor of the network, not a copy."""
    if adapter.is_virtual:
        return dict(module.get_submodule(VIRTUAL_TOKENS).named_parameters())
    if adapter.kind == "bottleneck":
        named = {name: tensor for name, tensor in module.named_parameters() if is_adapter_parameter(name)}
    else:
        from peft import get_peft_model_state_dict

        named = get_peft_model_state_dict(module, adapter_name=ADAPTER_NAME, save_embedding_layers=False)
    return {_PREFIX + name: tensor for name, tensor in named.items()}


def _read(folder: Path) -> tuple[Adapter, dict[str, Tensor]]:
    path = folder / WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:
            record = (file.metadata() or {}).get(_RECORD)
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"The adapter cannot be read: {path}: {error}") from error
    if record is None:
        raise ArtifactError(
            f"The adapter was not saved by cutpoint: {path}.", "Load it with peft.PeftModel.from_pretrained."
        )
    return Adapter.model_validate_json(record), weights


def _peft_config(folder: Path) -> Any:
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(str(folder))
    config.inference_mode = False
    return config


def _fill(network: dict[str, Tensor], weights: dict[str, Tensor], folder: Path) -> None:
    for key in sorted(network.keys() ^ weights.keys()):
        raise _unfit(folder, f"{key} is only in the {'network' if key in network else 'folder'}")
    for key, tensor in network.items():
        if tensor.shape != weights[key].shape:
            raise _unfit(folder, f"{key} is {tuple(weights[key].shape)}, here it is {tuple(tensor.shape)}")
    with torch.no_grad():
        for key, tensor in network.items():
            tensor.copy_(weights[key])


def _unfit(folder: Path, why: str) -> ArtifactError:
    return ArtifactError(
        f"The adapter in {folder} does not fit this network: {why}.",
        "Load the backbone that the adapter was trained on.",
    )
