"""PyTorch with every BatchNorm folded into the convolution in front of it (Jacob et al. 2018, section 3.2)."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from torch import Tensor, nn

from cutpoint.backbones.inputs import use_channels_last
from cutpoint.backbones.order import inference
from cutpoint.engines.work import Run, UnfitError, Work, run_module

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def open_fused(work: Work) -> Run:
    """The program with fewer steps.

    Raises:
        UnfitError: There is nothing to fold.
    """
    return run_module(fold_batchnorm(work.program, work.middle(1).to(work.device)), work.device)


def fold_batchnorm(program: nn.Module, batch: Tensor) -> nn.Module:
    """A copy that shares all other weights, with each BatchNorm folded that reads what a convolution puts out.

    That nothing else reads the convolution is not known from watching modules; where something does, the copy answers
    otherwise, which is why every engine is compared with the network itself before it is used.

    Args:
        program: Only read.
        batch: What it takes; shows who reads whom.

    Raises:
        UnfitError: There is nothing to fold.
    """
    pairs = _pairs(program, batch)
    if not pairs:
        raise UnfitError("no BatchNorm follows a convolution")
    shared = {id(tensor): tensor for tensor in (*program.parameters(), *program.buffers())}
    folded = copy.deepcopy(program, shared)
    for convolution_path, norm_path in pairs:
        convolution: Any = folded.get_submodule(convolution_path)
        norm: Any = folded.get_submodule(norm_path)
        convolution.weight, convolution.bias = nn.utils.fuse_conv_bn_weights(
            convolution.weight,
            convolution.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        parent, _, name = norm_path.rpartition(".")
        # A subclass that does more than to normalise (dropout, an activation) has modules for that, in their order.
        setattr(folded.get_submodule(parent), name, nn.Sequential(*norm.children()))
    return use_channels_last(folded)


def _pairs(program: nn.Module, batch: Tensor) -> list[tuple[str, str]]:
    """Paths of convolutions, and of the BatchNorms that read what they put out; each of them runs once."""
    made: dict[int, str] = {}
    ran: list[str] = []
    outputs: list[Any] = []  # kept alive, so that no two have one id
    pairs: list[tuple[str, str]] = []

    def watch(path: str, module: nn.Module, arguments: Any, output: Any) -> None:
        ran.append(path)
        outputs.append(output)
        if isinstance(module, _CONVOLUTIONS):
            made[id(output)] = path
        elif arguments and id(arguments[0]) in made:
            pairs.append((made[id(arguments[0])], path))

    hooks = [
        module.register_forward_hook(partial(watch, path))
        for path, module in program.named_modules()
        if isinstance(module, (*_CONVOLUTIONS, nn.modules.batchnorm._BatchNorm))
    ]
    try:
        with inference(program):
            program(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return [pair for pair in pairs if all(ran.count(path) == 1 for path in pair)]
