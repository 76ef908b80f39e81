"""What a forward pass keeps where only an adapter trains: counted once on a copy, since it depends on the layers."""

from __future__ import annotations

import copy
from weakref import WeakKeyDictionary

from torch import nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.inject import inject
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.order import members_of
from cutpoint.features.seeding import seeded
from cutpoint.heads.modules import NoHead
from cutpoint.model import Network
from cutpoint.planning.memory import measure_activations
from cutpoint.regimes.partition import Partition, apply_modes, apply_partition

_SHARES: WeakKeyDictionary[Backbone, dict[tuple[Adapter, int], float]] = WeakKeyDictionary()


def share_with_adapter(backbone: Backbone, adapter: Adapter, above: int) -> float:
    """Bytes that one example's forward pass keeps with an adapter, for each byte that it keeps where the blocks train.

    A frozen layer keeps no input for its own weights; LoRA's dropout and products beside it keep theirs.

    Args:
        backbone: Where the adapter goes; not touched.
        adapter: Its rank a number. A base in 4 bits is counted as one in full: it keeps the same.
        above: Frozen blocks below the first that the adapter changes.
    """
    known = _SHARES.setdefault(backbone, {})
    if (adapter, above) not in known:
        module = copy.deepcopy(backbone.module)
        with seeded(0):  # planning leaves torch's own random state as it is: a run that goes on does not plan
            plain = _kept(backbone, module, Partition(above))
            inject(module, adapter.model_copy(update={"base": "full"}), members_of(backbone.blocks[above:]))
            kept = _kept(backbone, module, Partition(above, adapter=True))
        known[adapter, above] = kept / max(plain, 1)
    return known[adapter, above]


def _kept(backbone: Backbone, module: nn.Module, partition: Partition) -> int:
    network = Network(module, NoHead())
    apply_partition(network, backbone.blocks, partition)
    apply_modes(network, backbone.blocks, partition, "inference")
    device = next(module.parameters()).device
    example = backbone.inputs.noise(1).to(device)
    return measure_activations(network, lambda: network(example).square().mean())
