"""Where an adapter would sit in a backbone, and whether it can; found out without touching the backbone."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch

from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.inject import inject, is_adapter_parameter
from cutpoint.adapters.support import why_not
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.order import at_or_below, members_of
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.regimes.regime import Regime
from cutpoint.types import Task

_SIZES: WeakKeyDictionary[Backbone, dict[tuple[Adapter, int], dict[str, int]]] = WeakKeyDictionary()


def injected_sizes(backbone: Backbone, adapter: Adapter, above: int) -> dict[str, int]:
    """Name → number of elements of each parameter that an adapter injects above a cut.

    It is injected into a network without memory of its own (on torch's meta device), so that it costs little for any
    size of backbone.
    """
    known = _SIZES.setdefault(backbone, {})
    if (adapter, above) not in known:
        import_torchvision()  # peft imports transformers
        plain = adapter.model_copy(
            update={"base": "full", "rank": 1 if adapter.rank == "auto" else adapter.rank}
        )
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            module = backbone.rebuild()
            inject(module, plain, members_of(backbone.blocks[above:]))
        known[adapter, above] = {
            name: parameter.numel()
            for name, parameter in module.named_parameters()
            if is_adapter_parameter(name)
        }
    return known[adapter, above]


def first_injected_block(backbone: Backbone, adapter: Adapter, above: int) -> int:
    """Number of blocks below the first one that an adapter changes; all are frozen, so it is where the cut falls."""
    names = list(injected_sizes(backbone, adapter, above))
    for position, block in enumerate(backbone.blocks):
        if any(at_or_below(name, member) for member in block.members for name in names):
            return position
    return 0  # virtual tokens stand in front of all blocks


def why_not_here(regime: Regime, backbone: Backbone, task: Task) -> str:
    """Why a regime cannot run on this backbone for this task; empty if it can."""
    solvers = {phase.solver for phase in regime.phases}
    if task.kind == "language":
        if regime.head != "linear" or (regime.is_head_only and solvers != {"none"}):
            return "a language model brings its own head, so that there is none to train on frozen features"
    elif solvers == {"none"}:
        return "without training, a fresh head says nothing"
    if any(phase.loss == "contrastive" for phase in regime.phases) and not task.is_classification:
        return "the contrastive loss needs one class an example"
    if not backbone.blocks and not regime.is_head_only:
        return "there is no network to train"
    return "" if regime.adapter is None else why_not(backbone.module, regime.adapter)
