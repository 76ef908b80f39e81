"""What a fit will hold in memory, predicted before it starts, and why it is refused where that is not there.

The count is of what a fit adds to the process: weights, gradients, the two moments of AdamW, and what the forward
pass keeps for the backward pass, which goes while gradients come; and what the C library's heap makes of that.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from cutpoint.reports import format as form

Precision = Literal["float32", "half", "nf4"]

BYTES_PER_WEIGHT: dict[Precision, float] = {"float32": 4.0, "half": 2.0, "nf4": 0.5 + 1 / 64 + 4 / (64 * 256)}
"""NF4 (QLoRA, Dettmers et al. 2023) holds a byte of scale for every 64 weights and a float32 for every 256 scales."""

_FLOAT = 4
_HALF = 2
_GRADIENT_AND_MOMENTS = 3 * _FLOAT
# In units of the width, measured on transformers' Llama (22) and BERT (18); 17 by the count of Korthikanti et al. 2022
# (34 bytes in half precision), who fuse more operations.
_NUMBERS_PER_LAYER = 22
# Where attention is not fused, for each pair of tokens and head: 3.3 measured on BERT; 2.5 by Korthikanti et al.
_NUMBERS_PER_SCORE = 3.5
# Under autocast products are kept in 2 bytes, norms and softmax in 4: 2.7 measured on Llama, 3.1 on BERT.
_MIXED_BYTES = 3
# What glibc's heap takes for each byte that comes and goes in a fit: it shrinks at its top alone, and a hole that does
# not fit the next block stays. Measured by benchmarks/training_memory.py beside the same fits with a mapping of its own
# for every block, which leaves no hole: 1.3 and 1.5 where batches are alike, 1.7 and 1.9 where every batch of texts has
# another length.
_HELD_ALIKE = 1.4
_HELD_UNLIKE = 1.8
HELD_WITH_ADAPTER = 2.0
"""The same where an adapter trains, whose small blocks come to lie between large ones: 2.0 to 2.4 measured on MiniLM,
2.0 and 2.1 on a Llama (benchmarks/language_memory.py)."""
# Logits, their logarithm of the softmax and its gradient, which stay float32 in mixed precision too.
_NUMBERS_PER_LOGIT = 3


def weight_bytes(parameters: int, precision: Precision = "float32", *, unquantised: int = 0) -> int:
    """Bytes of weights at rest.

    Args:
        parameters: How many.
        precision: How they are held; "half" is float16 or bfloat16.
        unquantised: How many of them stay float32 beside "nf4": embeddings, norms and the head.
    """
    held = parameters - unquantised if precision == "nf4" else parameters
    return round(held * BYTES_PER_WEIGHT[precision]) + _FLOAT * (parameters - held)


def activation_bytes(
    batch: int,
    tokens: int,
    width: int,
    layers: int,
    *,
    heads: int = 0,
    vocabulary: int = 0,
    checkpointing: bool = False,
    mixed_precision: bool = False,
) -> int:
    """What the forward pass of a transformer keeps for the backward pass; up to a third more than was measured.

    Args:
        batch: Examples that pass at once.
        tokens: Tokens of each.
        width: Of the hidden states.
        layers: Through which gradients flow.
        heads: Attention heads whose scores are kept, as where attention drops out on a CPU; 0 where it is fused.
        vocabulary: Columns of the logits of a language model.
        checkpointing: Only the input of each layer is kept, and the inside of one layer at a time (Chen et al.
            2016).
        mixed_precision: Products in half precision.
    """
    inside = _NUMBERS_PER_LAYER * width + _NUMBERS_PER_SCORE * heads * tokens
    numbers = layers * width + inside if checkpointing else layers * inside
    per_token = numbers * (_MIXED_BYTES if mixed_precision else _FLOAT)
    return round(batch * tokens * (per_token + _NUMBERS_PER_LOGIT * _FLOAT * vocabulary))


def measure_activations(module: nn.Module, forward: Callable[[], Tensor]) -> int:
    """Bytes that one forward pass keeps for the backward pass, weights and buffers left out.

    Args:
        module: Whose weights are left out; its `requires_grad` and modes are those of the fit.
        forward: Runs the pass on a batch, up to the loss.
    """
    return activations_above(module, (), forward)[0]


def activations_above(
    module: nn.Module, blocks: Sequence[Sequence[nn.Module]], forward: Callable[[], Tensor]
) -> tuple[int, ...]:
    """The same for every cut: bytes that the blocks above k keep, for k = 0…L; the head counts to the topmost one.

    Args:
        module: As above.
        blocks: The parts of each block, bottom first, in the order in which they run.
        forward: As above.
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
    kept: dict[int, int] = {}
    last: dict[int, int] = {}  # the highest block that keeps it: what it got from below it keeps, too
    running = 1

    def enter(number: int, *_: Any) -> None:
        nonlocal running
        running = number

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        last[storage.data_ptr()] = max(running, last.get(storage.data_ptr(), 0))
        return tensor

    hooks = [
        part.register_forward_pre_hook(partial(enter, number))
        for number, parts in enumerate(blocks, start=1)
        for part in parts
    ]
    try:
        with saved_tensors_hooks(note, lambda tensor: tensor):
            result = forward()  # holds the graph, so that no two storages have one address
        del result
    finally:
        for hook in hooks:
            hook.remove()
    sizes = {address: size for address, size in kept.items() if address not in own}
    return tuple(
        sum(size for address, size in sizes.items() if last[address] > cut) for cut in range(len(blocks) + 1)
    )


def coming_and_going(activations: Sequence[int], trainable: Sequence[int]) -> int:
    """Most bytes of activations and gradients at once: on the way back the ones go, block by block, as the others come.

    Args:
        activations: Bytes kept above each cut, from the fit's own cut to the top, where there are none.
        trainable: Parameters that train above each of these cuts, the head's left out.
    """
    done = zip(activations, trainable, strict=True)
    return max(activations[0] - above + _FLOAT * weights for above, weights in done)


def heap_share(*, alike: bool, device: str) -> float:
    """Bytes that the process takes for each byte that comes and goes in a fit: 1 where the heap is not glibc's.

    Args:
        alike: Whether all batches have the same shape.
        device: Kind of device that holds the fit; torch keeps its own blocks on a GPU.
    """
    if device != "cpu" or platform.libc_ver()[0] != "glibc":
        return 1.0
    return _HELD_ALIKE if alike else _HELD_UNLIKE


def predict_memory(
    parameters: int,
    trainable: int,
    *,
    precision: Precision = "float32",
    unquantised: int = 0,
    activations: int = 0,
    mixed_precision: bool = False,
    copies: int = 0,
) -> int:
    """Bytes that a fit with AdamW holds at its peak, beside what the process holds already.

    An upper bound: activations go while gradients come (`coming_and_going`).

    A trained weight costs 16: itself, its gradient and two moments, all float32 (Rajbhandari et al. 2020 count the
    same 16 with half-precision weights and gradients beside a float32 master). A frozen one costs what it is held in.

    Args:
        parameters: Of the network, adapters and head included.
        trainable: How many of them train; they are float32.
        precision: How the frozen ones are held.
        unquantised: How many frozen ones stay float32 beside "nf4".
        activations: `activation_bytes` or `measure_activations` of what passes at once.
        mixed_precision: Autocast keeps a copy in half precision of every float32 weight until the backward pass.
        copies: Of the trained weights, which the loop holds besides: the best so far, a moving average.
    """
    frozen = parameters - trainable
    per_trained = _FLOAT * (1 + copies) + _GRADIENT_AND_MOMENTS
    weights = weight_bytes(frozen, precision, unquantised=unquantised) + trainable * per_trained
    if mixed_precision:
        wide = {"float32": frozen, "half": 0, "nf4": unquantised}[precision]
        weights += _HALF * (trainable + wide)
    return weights + activations


def refusal(name: str, needed: int, available: int, alternatives: Mapping[str, int]) -> str:
    """Why a trial cannot run, with what could in its place; "" where it fits.

    Args:
        name: How the trial is called.
        needed: Bytes, by `predict_memory`.
        available: Bytes, by `cutpoint.runtime.available_memory`.
        alternatives: Other trials and the bytes that each needs; those that fit are told, dearest first.
    """
    if needed <= available:
        return ""
    fitting = sorted(
        (item for item in alternatives.items() if item[1] <= available), key=lambda item: -item[1]
    )
    told = " and ".join(f"{other} would need about {form.size(size)}" for other, size in fitting[:2])
    start = f"{name} needs about {form.size(needed)} and {form.size(available)} are free"
    return f"{start}; {told or 'train less of it, pass fewer examples at once, or take a smaller backbone'}"
