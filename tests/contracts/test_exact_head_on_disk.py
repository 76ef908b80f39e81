"""The exact head is solved on features as they lie on disk: no fit holds those of all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from cutpoint.errors import DataError
from cutpoint.heads import chunks, streamed_path
from cutpoint.heads.chunks import Chosen
from cutpoint.heads.exact import ExactHead, fit_exact
from cutpoint.regimes import resolve_regimes
from cutpoint.training import exact_head
from cutpoint.training.fit import Fit, FitData
from cutpoint.types import IGNORED

Benches = Callable[..., Any]
CASES = [("convolutional", "multiclass"), ("convolutional", "regression"), ("tagger", "tagging")]
IN_CHUNKS = 25


def _fitted(bench: Any, data: FitData | None = None) -> Fit:
    (probe,) = resolve_regimes("linear-probe")
    fit: Fit = bench.fit(probe, data=data)
    for _ in fit:
        pass
    return fit


def _expected(bench: Any) -> ExactHead:
    """The head of the same rows, or words, in memory."""
    data, pooled = bench.data, bench.bank.pooled()
    targets, groups = data.targets[data.train], None
    features = pooled.final[data.train] if pooled.spans is None else None
    if pooled.spans is not None:
        kept = targets != IGNORED
        groups = kept.nonzero()[0]
        words = pooled.read(data.train).numpy()
        features, targets = words[kept[:, : words.shape[1]]], targets[kept]
    return fit_exact(features, targets, data.task.for_heads, groups=groups, seed=0)


@pytest.mark.parametrize(("kind", "task"), CASES)
def test_it_is_that_of_features_in_memory(benches: Benches, kind: str, task: str) -> None:
    bench = benches(kind, task)
    fit, expected = _fitted(bench), _expected(bench)
    assert fit.state.strength == expected.strength
    for name, value in expected.head.state_dict().items():
        assert torch.equal(fit.network.head.state_dict()[name], value)


@pytest.mark.parametrize(("kind", "task"), CASES)
def test_of_many_rows_only_chunks_are_read(
    benches: Benches, kind: str, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = benches(kind, task)
    read: list[int] = []

    class Counted(Chosen):
        def __getitem__(self, rows: Any, /) -> Any:
            found = super().__getitem__(rows)
            read.append(len(found))
            return found

    monkeypatch.setattr(exact_head, "Chosen", Counted)
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 8 * bench.backbone.width * IN_CHUNKS)
    monkeypatch.setattr(streamed_path, "HELD_BYTES", 1)
    fit, expected = _fitted(bench), _expected(bench)
    assert max(read) <= IN_CHUNKS
    assert fit.state.strength == expected.strength
    for name, value in expected.head.state_dict().items():
        torch.testing.assert_close(fit.network.head.state_dict()[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["convolutional", "tagger"])
def test_rows_that_are_not_finite_are_named(benches: Benches, kind: str) -> None:
    bench = benches(kind, "multiclass" if kind == "convolutional" else "tagging")
    pooled = bench.bank.pooled()
    final = np.array(pooled.final)
    final[7 if pooled.spans is None else pooled.spans.places(np.array([7]))[0], 3] = np.nan
    bench.bank._pooled = replace(pooled, final=final)
    try:
        with pytest.raises(DataError, match="row 7 are not finite"):
            _fitted(bench)
    finally:
        bench.bank._pooled = pooled
