"""The contracts of adapters, on tiny random networks of every family; peft's own loader is the other side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cutpoint.adapters import Adapter, inject, is_adapter_parameter, load_adapter, merge, save_adapter
from cutpoint.backbones.torchvision_repair import import_torchvision

import_torchvision()
import timm  # noqa: E402
import transformers  # noqa: E402

_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 60,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_DISTILBERT = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "vocab_size": 60}
_GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 60, "bos_token_id": 1, "eos_token_id": 2}
_MODERNBERT = {**_SIZES, "cls_token_id": 1, "sep_token_id": 2}


def _text(model: str, config: str, sizes: dict[str, Any]) -> nn.Module:
    made = getattr(transformers, config)(**sizes)
    module: nn.Module = getattr(transformers, model)(made)
    return module


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "bert": lambda: _text("BertModel", "BertConfig", _SIZES),
    "distilbert": lambda: _text("DistilBertModel", "DistilBertConfig", _DISTILBERT),
    "roberta": lambda: _text("RobertaModel", "RobertaConfig", _SIZES),
    "modernbert": lambda: _text("ModernBertModel", "ModernBertConfig", _MODERNBERT),
    "llama": lambda: _text("LlamaForCausalLM", "LlamaConfig", _SIZES),
    "gpt2": lambda: _text("GPT2LMHeadModel", "GPT2Config", _GPT2),
    "vit": lambda: timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=0),
    "resnet": lambda: timm.create_model("resnet18", num_classes=0),
    "mobilenet": lambda: timm.create_model("mobilenetv2_035", num_classes=0),
}
TEXT = ("bert", "distilbert", "roberta", "modernbert", "llama", "gpt2")
CONVOLUTIONAL = ("resnet", "mobilenet")
LAYER_KINDS = ("lora", "dora", "ia3", "bottleneck")


def _network(name: str) -> nn.Module:
    """The same weights at every call; running statistics that are not those of a fresh BatchNorm."""
    torch.manual_seed(0)
    module = NETWORKS[name]().eval()
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            nn.init.uniform_(child.running_mean, -0.1, 0.1)
            nn.init.uniform_(child.running_var, 0.5, 2.0)
    return module


def _output(module: nn.Module) -> Tensor:
    random = torch.Generator().manual_seed(1)
    if not hasattr(module, "config"):
        return module(torch.randn(2, 3, 32, 32, generator=random))
    ids = torch.randint(3, 60, (2, 7), generator=random)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    output = module(input_ids=ids, attention_mask=mask)[0]
    return output[mask.bool()]


@torch.no_grad()
def _frozen_output(module: nn.Module) -> Tensor:
    return _output(module.eval())


def _train(module: nn.Module, steps: int = 3) -> None:
    """A few steps on the adapter alone, in training mode but for batch statistics."""
    parameters = []
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(is_adapter_parameter(name))
        if parameter.requires_grad:
            parameters.append(parameter)
    module.train()
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.eval()
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    for step in range(steps):
        torch.manual_seed(step)
        optimizer.zero_grad()
        output = _output(module)
        (output - torch.linspace(-1, 1, output.shape[-1])).square().mean().backward()
        optimizer.step()
    module.eval()


def _base_state(module: nn.Module) -> dict[str, Tensor]:
    state = module.state_dict()
    return {
        name.replace(".base_layer", ""): tensor.clone()
        for name, tensor in state.items()
        if not is_adapter_parameter(name)
    }


def _cases() -> list[Any]:
    return [
        pytest.param(network, kind, id=f"{network}-{kind}")
        for network in NETWORKS
        for kind in LAYER_KINDS
        if not (kind == "bottleneck" and network in CONVOLUTIONAL)
    ]


@pytest.mark.parametrize(("network", "kind"), _cases())
def test_contracts_of_layer_adapters(network: str, kind: str, tmp_path: Path) -> None:
    module = _network(network)
    adapter = Adapter(kind=kind)
    before, base = _frozen_output(module), _base_state(module)
    inject(module, adapter, blocks=("",))
    torch.testing.assert_close(_frozen_output(module), before, atol=1e-6, rtol=0)

    _train(module)
    trained = _frozen_output(module)
    assert (trained - before).abs().max() > 1e-4
    after = _base_state(module)
    assert after.keys() == base.keys()
    assert all(torch.equal(after[name], base[name]) for name in base)

    save_adapter(module, adapter, tmp_path, "bare")
    again = _network(network)
    drawn = torch.get_rng_state()
    assert load_adapter(again, tmp_path) == adapter
    assert torch.equal(torch.get_rng_state(), drawn)
    assert torch.equal(_frozen_output(again), trained)
    if kind != "bottleneck":
        _loads_in_peft(network, tmp_path, trained)
        _merges(module, trained, base)


def _loads_in_peft(network: str, folder: Path, expected: Tensor) -> None:
    from peft import PeftModel

    bare = _network(network)
    if not hasattr(bare, "config"):
        loaded = PeftModel.from_pretrained(bare, folder).eval()
        random = torch.Generator().manual_seed(1)
        with torch.no_grad():
            output = loaded(torch.randn(2, 3, 32, 32, generator=random))
    else:
        output = _frozen_output(PeftModel.from_pretrained(bare, folder))
    torch.testing.assert_close(output, expected, atol=1e-6, rtol=0)


def _merges(module: nn.Module, expected: Tensor, base: dict[str, Tensor]) -> None:
    merge(module)
    assert _base_state(module).keys() == base.keys() == module.state_dict().keys()
    torch.testing.assert_close(_frozen_output(module), expected, atol=1e-5, rtol=1e-5)
