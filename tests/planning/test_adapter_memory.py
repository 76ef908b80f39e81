"""What passes through a network with an adapter, counted on a copy."""

from __future__ import annotations

import pytest

import tiny_texts
from cutpoint.adapters.adapter import Adapter
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.planning.adapter_memory import share_with_adapter
from cutpoint.regimes.injection import first_injected_block


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_backbone(
        tiny_texts.save_language_model(tmp_path_factory.mktemp("network")), readout="language"
    )


def share(network: Backbone, adapter: Adapter) -> float:
    return share_with_adapter(network, adapter, first_injected_block(network, adapter, 0))


def test_dropout_in_front_of_an_adapter_keeps_a_copy_of_what_passes(network: Backbone) -> None:
    without = share(network, Adapter(kind="lora", rank=4, dropout=0.0))
    with_dropout = share(network, Adapter(kind="lora", rank=4, dropout=0.1))
    everywhere = share(network, Adapter(kind="lora", rank=4, dropout=0.1, targets="all-linear"))
    assert 0.5 < without < with_dropout < everywhere < 3.0


def test_a_base_in_four_bits_keeps_what_a_full_one_does(network: Backbone) -> None:
    assert share(network, Adapter(kind="lora", rank=4, base="nf4")) == share(
        network, Adapter(kind="lora", rank=4)
    )


def test_the_backbone_is_not_touched(network: Backbone) -> None:
    before = {name: parameter.requires_grad for name, parameter in network.module.named_parameters()}
    share(network, Adapter(kind="ia3"))
    assert {name: parameter.requires_grad for name, parameter in network.module.named_parameters()} == before
