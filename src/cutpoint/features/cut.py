"""A network cut in two at any of its blocks, exactly.

The prefix is a hook that keeps the output of block k and stops the forward pass. The suffix is the whole
network's own forward pass in which the blocks up to k do not run: those below hand on placeholders of the
right shape, and block k hands on the given activation. Masks, position embeddings, norms and pooling
therefore need no code here. Whether anything leaks past a cut is checked, never assumed: `valid_cuts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from cutpoint.backbones.backbone import Backbone, Block
from cutpoint.backbones.inputs import Inputs
from cutpoint.backbones.order import inference
from cutpoint.errors import BackboneError
from cutpoint.features.recording import Recording, Size, noise_for

_REPORTS: WeakKeyDictionary[Backbone, CutReport] = WeakKeyDictionary()


class _StopError(Exception):
    """Carries the output of block k out of the forward pass."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output


class Cut:
    """A network cut after its first `frozen_blocks` blocks.

    If the cut is valid (`valid_cuts`), `suffix(prefix(x))` is bit-equal to the whole in inference mode.

    Args:
        module: A batch of inputs → features.
        blocks: The module's blocks in order.
        frozen_blocks: k; 0 puts all in the suffix, len(blocks) all in the prefix.
        inputs: What the module takes.
        recording: A recording of the same module, blocks and inputs, to share the work between cuts.

    Raises:
        BackboneError: There is no such block.
    """

    def __init__(
        self,
        module: nn.Module,
        blocks: Sequence[Block],
        frozen_blocks: int,
        inputs: Inputs,
        recording: Recording | None = None,
    ) -> None:
        if not 0 <= frozen_blocks <= len(blocks):
            raise BackboneError(
                f"There is no cut after {frozen_blocks} blocks; the backbone has {len(blocks)}.",
                f"choose a number from 0 to {len(blocks)}",
            )
        self.module = module
        self.blocks = tuple(blocks)
        self.frozen_blocks = frozen_blocks
        self.inputs = inputs
        self._recording = recording

    def prefix(self, inputs: Tensor) -> Tensor:
        """Activation after block k.

        Args:
            inputs: A batch, as the network takes it.

        Returns:
            The inputs themselves for k = 0, the features for k = len(blocks), and else whatever block k puts out,
            batch first.
        """
        if self.frozen_blocks == 0:
            return inputs
        if self.frozen_blocks == len(self.blocks):
            return _features(self.module(inputs))
        name = self.blocks[self.frozen_blocks - 1].name
        hook = self.module.get_submodule(name).register_forward_hook(_stop)
        try:
            self.module(inputs)
        except _StopError as stopped:
            output = stopped.output
        else:
            raise BackboneError(f"Block {name!r} does not run in the forward pass.", "choose another cut")
        finally:
            hook.remove()
        return self.activation_of(output)

    @contextmanager
    def overheard(self) -> Iterator[list[Any]]:
        """What block k puts out in forward passes of the whole network, one after the other; see `activation_of`.

        They are copies: what comes behind the cut may write into its input. 0 < k < len(blocks).
        """
        heard: list[Any] = []

        def keep(_: nn.Module, __: Any, output: Any) -> None:
            heard.append(pytree.tree_map_only(Tensor, Tensor.clone, output))

        hook = self.module.get_submodule(self.blocks[self.frozen_blocks - 1].name).register_forward_hook(keep)
        try:
            yield heard
        finally:
            hook.remove()

    def suffix(self, activations: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Features of activations that `prefix` made; gradients flow back into the activations.

        Args:
            activations: Batch first, any batch size.
            inputs: The batch that they were made from. Texts need it: it tells how long each one is, and what is
                read out. Images do not.

        Returns:
            What the whole network puts out.
        """
        if self.frozen_blocks == len(self.blocks):
            return activations
        if self.frozen_blocks == 0:
            return _features(self.module(activations))
        if inputs is None:
            inputs = self.inputs.placeholder(len(activations), activations)
        return self.recompose(activations, inputs)

    def recompose(self, activations: Tensor, inputs: Tensor) -> Tensor:
        """The suffix with the original inputs chosen by the caller: a valid cut depends on their lengths alone."""
        with self._patched(partial(self._replay, size=Size.of(inputs), activations=activations)):
            return _features(self.module(inputs))

    @property
    def recording(self) -> Recording:
        """Made when it is first needed, then kept."""
        if self._recording is None:
            self._recording = Recording(self.module, self.blocks, self.inputs)
        return self._recording

    def activation_of(self, output: Any) -> Tensor:
        """The one tensor that grows with the batch in what block k puts out; not to be asked inside of a forward pass,
        since to tell it the network may have to be run."""
        if isinstance(output, Tensor):
            return output
        name = self.blocks[self.frozen_blocks - 1].name
        position = self.recording.outputs[name].activation
        if position is None:
            raise _several_tensors(name)
        activation: Tensor = pytree.tree_leaves(output)[position]
        return activation

    def _replay(self, path: str, *_: Any, size: Size, activations: Tensor, **__: Any) -> Any:
        """What the patched module at that path returns."""
        at_cut = path == self.blocks[self.frozen_blocks - 1].name
        output = self.recording.outputs[path]
        return output.filled(size, activations, activations if at_cut else None)

    def _silenced(self) -> tuple[str, ...]:
        """Paths of the modules that must not run in the suffix: all watched ones up to the end of block k."""
        name = self.blocks[self.frozen_blocks - 1].name
        if name not in self.recording.outputs:
            raise BackboneError(
                f"The network cannot be cut after block {name!r}: it runs more than once or not at all.",
                "choose another cut",
            )
        order = self.recording.order
        return tuple(path for path in order[: order.index(name) + 1] if path in self.recording.outputs)

    @contextmanager
    def _patched(self, replay: Callable[..., Any]) -> Iterator[None]:
        """`forward` of the silenced modules replaced; whatever happens, the module is left as it was."""
        saved: list[tuple[nn.Module, Any]] = []
        try:
            for path in self._silenced():
                module = self.module.get_submodule(path)
                saved.append((module, module.__dict__.get("forward")))
                module.__dict__["forward"] = partial(replay, path)
            yield
        finally:
            for module, forward in saved:
                if forward is None:
                    module.__dict__.pop("forward", None)
                else:
                    module.__dict__["forward"] = forward


@dataclass(frozen=True)
class CutReport:
    """Where a backbone may be cut.

    Attributes:
        valid: Numbers of frozen blocks, ascending; 0 and len(blocks) always among them.
        dropped: Block name → why there is no cut after it.
    """

    valid: tuple[int, ...]
    dropped: Mapping[str, str]


def valid_cuts(backbone: Backbone) -> CutReport:
    """Try every cut of a backbone.

    A cut counts as valid only if the suffix, given noise in place of the original input (of the same lengths, for
    texts), gives bit for bit the features of the whole network for two batches of different size. It depends on
    the architecture alone, so a backbone is tried once and the report kept as long as the backbone lives.
    """
    report = _REPORTS.get(backbone)
    if report is None:
        report = _REPORTS[backbone] = _try_cuts(backbone)
    return report


def _try_cuts(backbone: Backbone) -> CutReport:
    module, blocks, inputs = backbone.module, backbone.blocks, backbone.inputs
    recording = Recording(module, blocks, inputs)
    dropped: dict[str, str] = {}
    with inference(module):
        examples = [noise_for(module, inputs, batch, seed=batch, longer=batch == 2) for batch in (1, 2)]
        whole = [_features(module(example)) for example in examples]
        for frozen in range(1, len(blocks)):
            cut = Cut(module, blocks, frozen, inputs, recording)
            reason = _fault(cut, examples, whole)
            if reason:
                dropped[blocks[frozen - 1].name] = reason
    valid = [k for k in range(len(blocks) + 1) if k in (0, len(blocks)) or blocks[k - 1].name not in dropped]
    return CutReport(valid=tuple(valid), dropped=dropped)


def _fault(cut: Cut, examples: Sequence[Tensor], whole: Sequence[Tensor]) -> str:
    """Why the cut is not valid; empty if it is."""
    name = cut.blocks[cut.frozen_blocks - 1].name
    if name in cut.recording.repeated:
        return "it runs more than once in a forward pass"
    if name not in cut.recording.outputs:
        return "it does not run in the forward pass"
    if cut.recording.outputs[name].activation is None:
        return "it puts out more than one tensor, or none, that grows with the batch"
    for example, expected in zip(examples, whole, strict=True):
        count = len(example)
        noise = noise_for(cut.module, cut.inputs, count, seed=count + 100, longer=count == 2)
        try:
            features = cut.recompose(cut.prefix(example), noise)
        except (RuntimeError, ValueError, TypeError, AssertionError, IndexError, AttributeError) as error:
            return f"the rest does not run on its output alone: {str(error).splitlines()[0][:160]}"
        if not torch.equal(features, expected):
            return "the rest of the network reads more than its output"
    return ""


def _stop(_: nn.Module, __: Any, output: Any) -> None:
    raise _StopError(output)


def _features(output: Any) -> Tensor:
    if not isinstance(output, Tensor):
        raise BackboneError(
            f"The network gives {type(output).__name__} instead of one tensor of features.",
            "wrap it so that its forward returns (B, width)",
        )
    return output


def _several_tensors(name: str) -> BackboneError:
    return BackboneError(
        f"The network cannot be cut after block {name!r}: it puts out several tensors.", "choose another cut"
    )
