"""The user's own networks as backbones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cutpoint.backbones.backbone import Block
from cutpoint.backbones.from_module import from_module
from cutpoint.backbones.order import uncovered_parameters
from cutpoint.backbones.position import cut_position
from cutpoint.errors import BackboneError
from cutpoint.features.cut import Cut, valid_cuts
from cutpoint.types import ImagePreprocessing

PREPROCESSING = ImagePreprocessing(
    size=(16, 16), resize=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), made_by="test"
)


class _OutOfOrder(nn.Module):
    """Registers its parts in another order than it runs them."""

    def __init__(self) -> None:
        super().__init__()
        self.late = nn.Conv2d(8, 12, 3)
        self.early = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True))

    def forward(self, images: Tensor) -> Tensor:
        return self.late(self.early(images))


def test_blocks_are_the_children_in_the_order_of_execution_and_maps_are_pooled() -> None:
    network = _OutOfOrder()
    backbone = from_module(network, preprocessing=PREPROCESSING, name="mine")
    assert [block.name for block in backbone.blocks] == ["network.early", "network.late"]
    assert backbone.width == 12 and backbone.name == "mine" and uncovered_parameters(backbone) == ()
    inputs = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(backbone.module(inputs), network(inputs).mean((2, 3)))
        cut = Cut(backbone.module, backbone.blocks, 1, backbone.inputs)
        assert torch.equal(cut.suffix(cut.prefix(inputs)), backbone.module(inputs))
    assert valid_cuts(backbone).valid == (0, 1, 2)


def test_rows_are_taken_as_they_are_and_blocks_can_be_named() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    )
    backbone = from_module(network, preprocessing=PREPROCESSING)
    assert [block.name for block in backbone.blocks] == ["0", "1", "4"]
    assert backbone.module is network and backbone.width == 5
    backbone = from_module(network, preprocessing=PREPROCESSING, blocks=[Block("1", ("0", "1")), "4"])
    assert uncovered_parameters(backbone) == () and cut_position(backbone, "4") == 1
    assert valid_cuts(backbone).valid == (0, 1, 2)


def test_parameters_outside_of_the_named_blocks_are_reported() -> None:
    network = _OutOfOrder()
    backbone = from_module(network, preprocessing=PREPROCESSING, blocks=["late"])
    assert uncovered_parameters(backbone) == (
        "network.early.0.weight",
        "network.early.0.bias",
        "network.early.1.weight",
        "network.early.1.bias",
    )


def test_rebuild_draws_new_weights_and_leaves_the_old_ones() -> None:
    network = _OutOfOrder()
    before = network.late.weight.clone()
    fresh = from_module(network, preprocessing=PREPROCESSING).rebuild()
    assert not torch.equal(fresh.get_submodule("network.late").weight, before)
    assert torch.equal(network.late.weight, before)


class _Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) * self.scale


def test_rebuild_refuses_what_it_cannot_draw_anew() -> None:
    backbone = from_module(_Bare(), preprocessing=PREPROCESSING, blocks=[])
    with pytest.raises(BackboneError, match="reset_parameters"):
        backbone.rebuild()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Conv2d(1, 4, 3), "does not run"),
        (nn.Flatten(0), "instead of features"),
        (nn.MaxPool2d(2, return_indices=True), "tuple"),
    ],
)
def test_a_network_that_gives_no_features_is_an_error(network: nn.Module, message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        from_module(network, preprocessing=PREPROCESSING)


def test_an_unknown_block_is_an_error() -> None:
    with pytest.raises(BackboneError, match="'middle'"):
        from_module(_OutOfOrder(), preprocessing=PREPROCESSING, blocks=["early", "middle"])
