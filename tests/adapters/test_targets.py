"""Which layers an adapter goes on in each family, the known counts of parameters, and what is refused, why."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from cutpoint.adapters import support as support_module
from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.inject import inject, is_adapter_parameter
from cutpoint.adapters.support import why_not
from cutpoint.adapters.targets import plain_layers, resolve_targets
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import RegimeError

import_torchvision()
import timm  # noqa: E402
import transformers  # noqa: E402

_TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_SPECIAL = {"vocab_size": 60, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_TEXT = {**_TINY, **_SPECIAL}
_HF: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "bert": ("BertConfig", _TEXT, {"query", "key", "value", "attention.output.dense"}),
    "roberta": ("RobertaConfig", _TEXT, {"query", "key", "value", "attention.output.dense"}),
    "mpnet": ("MPNetConfig", _TEXT, {"attn.q", "attn.k", "attn.v", "attn.o"}),
    "deberta": ("DebertaV2Config", _TEXT, {"query_proj", "key_proj", "value_proj", "attention.output.dense"}),
    "distilbert": (
        "DistilBertConfig",
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
        {"q_lin", "k_lin", "v_lin", "out_lin"},
    ),
    "modernbert": ("ModernBertConfig", {**_TEXT, "cls_token_id": 1, "sep_token_id": 2}, {"Wqkv", "attn.Wo"}),
    "qwen3": ("Qwen3Config", {**_TEXT, "head_dim": 16}, {"q_proj", "k_proj", "v_proj", "o_proj"}),
    "mistral": ("MistralConfig", _TEXT, {"q_proj", "k_proj", "v_proj", "o_proj"}),
    "gemma3": ("Gemma3TextConfig", _TEXT, {"q_proj", "k_proj", "v_proj", "o_proj"}),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 2}, {"c_attn", "attn.c_proj"}),
    "phi": ("PhiConfig", _TEXT, {"q_proj", "k_proj", "v_proj", "self_attn.dense"}),
    "phi3": ("Phi3Config", _TEXT, {"qkv_proj", "o_proj"}),
    "neox": ("GPTNeoXConfig", _TEXT, {"query_key_value", "attention.dense"}),
    "vit": ("ViTConfig", _TINY, {"q_proj", "k_proj", "v_proj", "o_proj"}),
}
_TIMM = {
    "vit_tiny_patch16_224": {"attn.qkv", "attn.proj"},
    "swin_tiny_patch4_window7_224": {"attn.qkv", "attn.proj"},
    "beit_base_patch16_224": {"attn.proj"},
    "convnext_atto": {r"mlp.fc1", "mlp.fc2", r"downsample.1", "stem.0"},
    "resnet18": {"conv1", "conv2", "downsample.0"},
    "mobilenetv2_035": {"conv_stem", "conv_pw", "conv_pwl", "conv_head"},
}


def _bare(name: str) -> nn.Module:
    config, sizes, _ = _HF[name]
    with torch.device("meta"):
        module: nn.Module = transformers.AutoModel.from_config(getattr(transformers, config)(**sizes))
    return module


def _check(module: nn.Module, expected: set[str]) -> None:
    paths = resolve_targets(module, Adapter(kind="lora"), blocks=("",))
    assert {end for end in expected if any(f".{path}".endswith(f".{end}") for path in paths)} == expected
    assert [path for path in paths if not any(f".{path}".endswith(f".{end}") for end in expected)] == []


@pytest.mark.parametrize("name", _HF)
def test_attention_of_every_transformer(name: str) -> None:
    module = _bare(name)
    _check(module, _HF[name][2])
    kept = resolve_targets(module, Adapter(kind="lora"), blocks=("",))
    layers = {int(number[1]) for path in kept if (number := re.search(r"\.?(\d+)\.", path))}
    assert layers == set(range(module.config.num_hidden_layers))


@pytest.mark.parametrize("name", _TIMM)
def test_layers_of_image_networks(name: str) -> None:
    with torch.device("meta"):
        module = timm.create_model(name, num_classes=7)
    _check(module, _TIMM[name])
    assert all(getattr(module.get_submodule(path), "groups", 1) == 1 for path in plain_layers(module))


def test_only_below_the_blocks_and_never_the_head() -> None:
    with torch.device("meta"):
        module = transformers.AutoModelForCausalLM.from_config(transformers.LlamaConfig(**_TEXT))
    adapter = Adapter(kind="lora", targets="all-linear")
    above = resolve_targets(module, adapter, blocks=("model.layers.1", "model.norm", "lm_head"))
    assert len(above) == 7
    assert all(path.startswith("model.layers.1.") for path in above)
    named = resolve_targets(module, Adapter(kind="lora", targets=("q_proj", "up_proj")), blocks=("",))
    assert [path.rpartition(".")[2] for path in named] == ["q_proj", "up_proj"] * 2
    with pytest.raises(RegimeError, match="no layer for lora"):
        resolve_targets(module, adapter, blocks=("model.norm",))


def test_injected_layers_are_the_resolved_ones_only() -> None:
    """Names that also stand elsewhere ("dense", "0") must not spread to other layers."""
    module = _bare("bert")
    blocks = ("encoder.layer.1",)
    expected = resolve_targets(module, Adapter(kind="lora"), blocks)
    inject(module, Adapter(kind="lora"), blocks)
    names = {
        name.partition(".lora_")[0] for name, _ in module.named_parameters() if is_adapter_parameter(name)
    }
    assert names == set(expected)
    stack = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 3))
    inject(stack, Adapter(kind="ia3"), blocks=("0",))
    assert [name for name, _ in stack.named_parameters() if is_adapter_parameter(name)] == ["0.ia3_l.default"]


def test_known_count_of_one_layer() -> None:
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(4096, 4096, bias=False))
        inject(module, Adapter(kind="lora", rank=16), blocks=("",))
    added = [p.numel() for name, p in module.named_parameters() if is_adapter_parameter(name)]
    assert sum(added) == 131_072


def test_known_count_of_llama_8b() -> None:
    config = transformers.LlamaConfig(
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128256,
        tie_word_embeddings=False,
        max_position_embeddings=131072,
    )
    with torch.device("meta"):
        module = transformers.LlamaForCausalLM(config)
        assert sum(parameter.numel() for parameter in module.parameters()) == 8_030_261_248
        inject(module, Adapter(kind="lora", rank=16), blocks=("",))
    added = sum(p.numel() for name, p in module.named_parameters() if is_adapter_parameter(name))
    assert added == 13_631_488
    assert round(100 * added / 8_030_261_248, 2) == 0.17
    assert {p.numel() for p in module.parameters() if p.requires_grad} <= {16 * 4096, 16 * 1024}


def test_why_not_says_why() -> None:
    with torch.device("meta"):
        vision = timm.create_model("vit_tiny_patch16_224", num_classes=0)
        convolutional = timm.create_model("resnet18", num_classes=0)
    assert why_not(vision, Adapter(kind="lora", rank="auto")) == ""
    assert why_not(vision, Adapter(kind="bottleneck")) == ""
    assert "reads no text" in why_not(vision, Adapter(kind="prompt"))
    assert "convolutional" in why_not(convolutional, Adapter(kind="bottleneck"))
    assert "linear layers" in why_not(convolutional, Adapter(kind="lora", base="nf4"))
    assert "'nonsense'" in why_not(vision, Adapter(kind="lora", targets=("nonsense",)))
    for name in ("distilbert", "modernbert", "mpnet", "deberta"):
        assert "prompt tuning works there" in why_not(_bare(name), Adapter(kind="prefix"))
        assert why_not(_bare(name), Adapter(kind="prompt")) == ""
    with pytest.raises(RegimeError, match="reads no text"):
        inject(vision, Adapter(kind="prompt"), blocks=("",))


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support_module, "find_spec", lambda name: None)
    module = nn.Sequential(nn.Linear(3, 3))
    assert "bitsandbytes: pip install cutpoint[nf4]" in why_not(module, Adapter(kind="lora", base="nf4"))
    assert why_not(module, Adapter(kind="bottleneck")) == ""


def test_settings_that_nothing_reads_are_errors() -> None:
    with pytest.raises(ValidationError, match="does not read 'rank'"):
        Adapter(kind="ia3", rank=8)
    with pytest.raises(ValidationError, match="does not read 'alpha'"):
        Adapter(kind="bottleneck", alpha=8)
    with pytest.raises(ValidationError, match="does not read 'targets'"):
        Adapter(kind="prompt", targets="all-linear")
    with pytest.raises(ValidationError):
        Adapter(kind="lora", rank=0)
    written = Adapter(kind="dora", rank=4, targets=("q_proj",), base="nf4")
    assert Adapter.model_validate_json(written.model_dump_json()) == written
    assert (written.scale, Adapter(kind="lora", rank=4, alpha=3).scale) == (8.0, 3.0)
    with pytest.raises(ValueError, match="auto"):
        inject(nn.Sequential(nn.Linear(3, 3)), Adapter(kind="lora", rank="auto"), blocks=("",))


@pytest.mark.parametrize(
    ("adapter", "count"),
    [
        (Adapter(kind="lora", rank=4), 2 * 4 * 4 * 64),
        (Adapter(kind="dora", rank=4), 2 * 4 * (4 * 64 + 32)),
        (Adapter(kind="ia3"), 2 * (32 + 32 + 64)),
        (Adapter(kind="bottleneck", rank=4), 2 * 2 * (2 * 4 * 32 + 4 + 32)),
        (Adapter(kind="prompt", rank=4), 4 * 32),
        (Adapter(kind="prefix", rank=4), 4 * 2 * 2 * 32),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_counts_are_known_without_memory(adapter: Adapter, count: int) -> None:
    """BERT with two layers of width 32 and feed-forward width 64, on torch's meta device."""
    module = _bare("bert")
    with torch.device("meta"):
        inject(module, adapter, blocks=("encoder",))
    assert all(parameter.is_meta for parameter in module.parameters())
    assert sum(p.numel() for name, p in module.named_parameters() if is_adapter_parameter(name)) == count
