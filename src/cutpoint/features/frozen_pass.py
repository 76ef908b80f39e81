"""One pass of a bank's rows through the frozen network, by the engine that was chosen for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from cutpoint.engines.choose import choose_engine, open_chosen
from cutpoint.engines.graphs import GraphFolder
from cutpoint.engines.names import EngineChoice, EngineRequest
from cutpoint.engines.work import Run, Work
from cutpoint.features.store import ActivationCache

_FOLDER = "engines"
_DUST = 1e-6
"""Of the greatest magnitude in a row: less is what float32 leaves of sums of its size."""


def graph_folder(cache: ActivationCache) -> GraphFolder:
    """Where converted networks lie: beside the arrays, under the same limit."""
    return GraphFolder(cache.folder / _FOLDER, cache.limit)


class FrozenPass:
    """Runs batches by the engine that is chosen; it is opened only where an array is not in the cache.

    Args:
        work: The program and its rows.
        request: An engine, "auto", or what was chosen before.
        cache: Of arrays; where one of the network itself is there, nothing is left to choose.
        description: Of the pooled features.
        others: Of what else the program puts out and is to be kept.
    """

    def __init__(
        self,
        work: Work,
        request: EngineRequest | EngineChoice,
        cache: ActivationCache,
        description: Mapping[str, Any],
        others: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._work = work
        self._run: Run | None = None
        self._place = {**description, "request": request if isinstance(request, str) else ""}
        self.choice = self._known(request, cache, description) or self._chosen(request)
        wanted = ({**each, **self.choice.key} for each in (description, *others))
        if self._run is None and any(cache.read(each) is None for each in wanted):
            self._run, self.choice = open_chosen(work, self.choice)

    def __call__(self, batch: Tensor) -> list[Tensor]:
        """Float32 tensors on the CPU: what the program puts out."""
        assert self._run is not None  # else the arrays were there
        return self._run(batch)

    def rows(self, parts: Sequence[Tensor]) -> Sequence[Tensor]:
        """Pooled outputs of a batch, each (B, width) or (B, words, width), as they are kept."""
        return parts if self.choice.engine == "eager" else [without_dust(part) for part in parts]

    def _known(
        self, request: EngineRequest | EngineChoice, cache: ActivationCache, description: Mapping[str, Any]
    ) -> EngineChoice | None:
        """What was chosen before for the same rows; killed and resumed, a run must not choose anew."""
        if isinstance(request, EngineChoice):
            return request
        if request == "eager":
            return EngineChoice()
        kept = self._work.graphs.read(self._place, EngineChoice)
        if kept is None and request == "auto" and cache.read(description) is not None:
            return EngineChoice(reason="the network itself had computed them before")
        return kept

    def _chosen(self, request: EngineRequest | EngineChoice) -> EngineChoice:
        assert isinstance(request, str)
        self._run, choice = choose_engine(self._work, request)
        if choice.engine != "eager":
            self._work.graphs.keep(self._place, choice)
        return choice


def without_dust(rows: Tensor) -> Tensor:
    """Rows (B, width) with zero for values that rounding alone decides.

    Engines agree to a share of the largest value, so that of a dead unit (1e-33 everywhere, say) one may say a hundred
    times what another does. A head divides by a unit's deviation: trained on the one and asked by the other, it would
    hear nothing else.
    """
    return rows.where(rows.abs() > _DUST * rows.abs().amax(-1, keepdim=True), 0.0)
