"""Every cut recomposes to the whole network; what does not is dropped by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cutpoint.backbones.backbone import Backbone, Block
from cutpoint.backbones.from_timm import from_timm
from cutpoint.backbones.inputs import ImageInputs
from cutpoint.backbones.order import block_parameters, uncovered_parameters
from cutpoint.backbones.position import cut_position
from cutpoint.errors import BackboneError
from cutpoint.features.cut import Cut, valid_cuts
from cutpoint.features.pooling import pooled_blocks
from cutpoint.types import BackboneReference, ImagePreprocessing, Provenance

FAMILIES = [
    ("resnet10t", 64),
    ("mobilenetv2_035", 64),
    ("mobilenetv3_small_050", 64),
    ("efficientnet_b0", 64),
    ("efficientnetv2_rw_t", 32),
    ("convnext_atto", 64),
    ("regnetx_002", 64),
    ("vit_tiny_patch16_224", 32),
    ("deit_tiny_distilled_patch16_224", 32),
    ("swin_tiny_patch4_window7_224", 64),
]


@pytest.fixture(scope="module", params=FAMILIES, ids=[name for name, _ in FAMILIES])
def backbone(request: pytest.FixtureRequest) -> Iterator[Backbone]:
    name, size = request.param
    torch.manual_seed(0)
    yield from_timm(name, pretrained=False, image_size=size)


def _inputs(backbone: Backbone, batch: int, seed: int = 3) -> Tensor:
    return backbone.inputs.noise(batch, seed)


def _cut(backbone: Backbone, frozen: int) -> Cut:
    return Cut(backbone.module, backbone.blocks, frozen, backbone.inputs)


def _forwards(module: nn.Module) -> list[str]:
    return [name for name, child in module.named_modules() if "forward" in child.__dict__]


def _middle(backbone: Backbone) -> int:
    return len(backbone.blocks) // 2


def test_every_cut_of_every_family_is_valid_and_covers_all_parameters(backbone: Backbone) -> None:
    report = valid_cuts(backbone)
    assert report.dropped == {}
    assert report.valid == tuple(range(len(backbone.blocks) + 1))
    assert uncovered_parameters(backbone) == ()
    counted = [name for block in backbone.blocks for name in block_parameters(backbone.module, block)]
    assert sorted(counted) == sorted(name for name, _ in backbone.module.named_parameters())


def test_prefix_and_suffix_give_the_whole_bit_for_bit_for_any_batch(backbone: Backbone) -> None:
    inputs = _inputs(backbone, 3)
    with torch.no_grad():
        whole = backbone.module(inputs)
        for frozen in (0, 1, _middle(backbone), len(backbone.blocks) - 1, len(backbone.blocks)):
            cut = _cut(backbone, frozen)
            activations = cut.prefix(inputs)
            kept = activations.clone()
            assert torch.equal(cut.suffix(activations), whole)
            assert torch.equal(activations, kept), "the suffix wrote into the caller's activations"
    assert _forwards(backbone.module) == []


def test_gradients_reach_the_suffix_and_nothing_else(backbone: Backbone) -> None:
    module, frozen = backbone.module, _middle(backbone)
    cut = _cut(backbone, frozen)
    with torch.no_grad():
        activations = cut.prefix(_inputs(backbone, 2))
    module.zero_grad(set_to_none=True)
    activations.requires_grad_()
    cut.suffix(activations).square().sum().backward()
    reached = {name for name, parameter in module.named_parameters() if parameter.grad is not None}
    above = {name for block in backbone.blocks[frozen:] for name in block_parameters(module, block)}
    assert reached == above
    assert activations.grad is not None and activations.grad.abs().sum() > 0


def test_pooled_blocks_gives_channels_of_every_block(backbone: Backbone) -> None:
    inputs = _inputs(backbone, 2)
    with torch.no_grad():
        features, pooled = pooled_blocks(backbone.module, backbone.blocks, backbone.inputs, inputs)
        assert torch.equal(features, backbone.module(inputs))
    assert len(pooled) == len(backbone.blocks)
    for block, rows in zip(backbone.blocks, pooled, strict=True):
        part = backbone.module.get_submodule(block.name)
        widths = {parameter.shape[0] for parameter in part.parameters()}
        assert rows.shape[0] == 2
        assert rows.shape[1] in widths, f"{block.name} was pooled over its channels"


def test_swin_is_pooled_over_space_although_its_channels_come_last() -> None:
    backbone = from_timm("swin_tiny_patch4_window7_224", pretrained=False, image_size=64)
    _, pooled = pooled_blocks(backbone.module, backbone.blocks, backbone.inputs, _inputs(backbone, 1))
    assert [rows.shape[1] for rows in pooled[:4]] == [96, 96, 96, 192]


def test_a_cut_works_in_double_precision_and_channels_last() -> None:
    backbone = from_timm("resnet10t", pretrained=False, image_size=32)
    module = backbone.module.double()
    inputs = _inputs(backbone, 2).double().contiguous(memory_format=torch.channels_last)
    cut = _cut(backbone, 2)
    with torch.no_grad():
        assert torch.equal(cut.suffix(cut.prefix(inputs)), module(inputs))


@pytest.mark.parametrize("name", ["mobilenetv2_035_tm", "mobilenetv2_100_coral"])
def test_the_real_mobilenets_can_be_cut_everywhere(shared: Path, name: str) -> None:
    backbone = from_timm(shared / "weights" / name, image_size=96)
    report = valid_cuts(backbone)
    assert report.valid == tuple(range(20)) and not report.dropped


# ------------------------------------------------------------------------------------ networks that misbehave


def _backbone(module: nn.Module, *names: str) -> Backbone:
    return Backbone(
        reference=BackboneReference(kind="module", name="toy", digest=""),
        module=module,
        blocks=tuple(Block(name, (name,)) for name in names),
        inputs=ImageInputs(
            ImagePreprocessing(size=(8, 8), resize=8, mean=(0.5,), std=(0.5,), made_by="test")
        ),
        width=4,
        provenance=Provenance(),
        rebuild=lambda: module,
    )


class _Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.third = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.third(self.second(self.first(inputs))).mean((2, 3))


class _Skips(_Toy):
    """Reads the input again behind the second block."""

    def forward(self, inputs: Tensor) -> Tensor:
        return (self.third(self.second(self.first(inputs))) + inputs).mean((2, 3))


class _SkipsOne(_Toy):
    """The third block reads what the first put out."""

    def forward(self, inputs: Tensor) -> Tensor:
        low = self.first(inputs)
        return self.third(self.second(low) + low).mean((2, 3))


class _Shares(_Toy):
    def forward(self, inputs: Tensor) -> Tensor:
        return self.third(self.second(self.second(self.first(inputs)))).mean((2, 3))


class _Pair(nn.Module):
    def __init__(self, with_batch: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(4, 4, 3, padding=1)
        self.with_batch = with_batch

    def forward(self, inputs: Tensor) -> tuple[Tensor, Any]:
        output = self.convolution(inputs)
        return (output, output.mean((2, 3))) if self.with_batch else (output, 3)


class _Tuples(_Toy):
    def __init__(self, with_batch: bool) -> None:
        super().__init__()
        self.second = _Pair(with_batch)  # type: ignore[assignment]

    def forward(self, inputs: Tensor) -> Tensor:
        maps, extra = self.second(self.first(inputs))
        factor = extra.mean() if isinstance(extra, Tensor) else extra
        return self.third(maps * factor).mean((2, 3))


@pytest.mark.parametrize(
    ("network", "valid", "dropped"),
    [
        (_Toy(), (0, 1, 2, 3), set()),
        (_Skips(), (0, 3), {"first", "second"}),
        (_SkipsOne(), (0, 1, 3), {"second"}),
        (_Shares(), (0, 1, 3), {"second"}),
        (_Tuples(with_batch=False), (0, 1, 2, 3), set()),
        (_Tuples(with_batch=True), (0, 1, 3), {"second"}),
    ],
    ids=["plain", "input used again", "skip", "shared weights", "constant in a tuple", "two tensors"],
)
def test_what_leaks_past_a_cut_is_dropped_by_name(
    network: nn.Module, valid: tuple[int, ...], dropped: set[str]
) -> None:
    report = valid_cuts(_backbone(network.eval(), "first", "second", "third"))
    assert report.valid == valid
    assert set(report.dropped) == dropped
    assert all(report.dropped.values())


def test_an_error_inside_the_suffix_leaves_the_module_as_it_was() -> None:
    toy = _Toy()
    own = toy.third.forward
    toy.third.forward = lambda inputs: own(inputs)  # type: ignore[method-assign]
    backbone = _backbone(toy, "first", "second", "third")
    cut = Cut(toy, backbone.blocks, 2, backbone.inputs)
    with pytest.raises(RuntimeError):
        cut.suffix(torch.zeros(2, 7, 8, 8))
    assert _forwards(toy) == ["third"], "a forward that was patched before stays patched by its owner"


def test_the_mode_and_the_buffers_of_the_prefix_are_untouched_by_training_the_suffix() -> None:
    backbone = from_timm("resnet10t", pretrained=False, image_size=32)
    cut = _cut(backbone, 3)
    activations = cut.prefix(_inputs(backbone, 4)).detach()
    before = {name: value.clone() for name, value in backbone.module.named_buffers()}
    backbone.module.train()
    cut.suffix(activations)
    below = tuple(member for block in backbone.blocks[:3] for member in block.members)
    moved = {name for name, value in backbone.module.named_buffers() if not torch.equal(value, before[name])}
    assert moved and not any(name.startswith(below) for name in moved)
    assert backbone.module.training and backbone.module.get_submodule("layer1.0").training


# ------------------------------------------------------------------------------------------ naming a cut


@pytest.fixture(scope="module")
def resnet() -> Backbone:
    return from_timm("resnet18", pretrained=False, image_size=32)


@pytest.mark.parametrize(
    ("spec", "frozen"),
    [(0, 0), (9, 9), ("3", 3), ("layer4", 7), ("layer4.1", 8), ("conv1", 0), ("*.downsample.*", 3)],
)
def test_cut_position(resnet: Backbone, spec: int | str, frozen: int) -> None:
    assert cut_position(resnet, spec) == frozen


@pytest.mark.parametrize("spec", [-1, 10, "layer", "*.attention.*"])
def test_an_unknown_cut_names_the_blocks(resnet: Backbone, spec: int | str) -> None:
    with pytest.raises(BackboneError, match=r"layer1\.0, layer1\.1"):
        cut_position(resnet, spec)
