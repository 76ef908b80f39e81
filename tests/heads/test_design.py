"""Both forms of a design are the same matrix, scaled as said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import cutpoint.heads.design as design
from cutpoint.errors import DataError
from cutpoint.heads.design import DenseDesign, SparseDesign, design_of
from cutpoint.heads.exact import fit_exact_strength
from cutpoint.heads.modules import predict_scores
from cutpoint.types import Task

TASK = Task(kind="multiclass", labels=("a", "b", "c"))


def _terms(rows: int = 90, width: int = 60, seed: int = 0) -> NDArray[np.float32]:
    """Nearly all zeros; the last column is all zeros, some rows too, and columns differ a hundredfold in size."""
    random = np.random.default_rng(seed)
    values = random.gamma(2.0, size=(rows, width)) * np.logspace(-1, 1, width)
    values[random.random((rows, width)) > 0.08] = 0
    values[:, -1] = 0
    return values.astype(np.float32)


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _both(features: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch) -> tuple[DenseDesign, SparseDesign]:
    dense = design_of(features)
    monkeypatch.setattr(design, "_SPARSE_SIZE", 10)
    sparse = design_of(features)
    assert isinstance(dense, DenseDesign) and isinstance(sparse, SparseDesign)
    assert isinstance(design_of(features, dense=True), DenseDesign)
    return dense, sparse


def _written_out(made: design.Design) -> torch.Tensor:
    return made.values(torch.eye(made.columns, dtype=torch.float64))


@pytest.mark.parametrize("weighted", [False, True], ids=["standardised", "common scale"])
def test_both_forms_are_the_same_scaled_features(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    features = _unit(_terms()) if weighted else _terms()
    expected = StandardScaler().fit_transform(features.astype(np.float64))
    if weighted:
        centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
        expected = centred / np.sqrt(centred.var(axis=0).mean())
    dense, sparse = _both(features, monkeypatch)
    written = _written_out(sparse).numpy()
    np.testing.assert_allclose(written, np.concatenate([expected, np.ones((90, 1))], axis=1), atol=1e-9)
    turned = _written_out(dense).numpy()
    np.testing.assert_allclose(turned @ turned.T, written @ written.T, atol=1e-9)


def test_products_rows_and_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    features = _terms()
    chosen = torch.arange(90) % 3 == 0
    for made in _both(features, monkeypatch):
        written = _written_out(made)
        random = torch.Generator().manual_seed(0)
        parameters = torch.randn(made.columns, 2, 3, generator=random, dtype=torch.float64)
        residuals = torch.randn(90, 2, 3, generator=random, dtype=torch.float64)
        torch.testing.assert_close(made.values(parameters), torch.einsum("nr,rsk->nsk", written, parameters))
        torch.testing.assert_close(
            made.correlations(residuals), torch.einsum("nr,nsk->rsk", written, residuals)
        )
        single = made.values(parameters.float())
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), made.values(parameters), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(made.rows(chosen).values(parameters), made.values(parameters)[chosen])
        weight, bias = made.raw(parameters[:, 0])
        raw = torch.from_numpy(features).double() @ weight + bias
        torch.testing.assert_close(raw, made.values(parameters)[:, 0])


def test_the_diagonal_of_a_sparse_design_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    _, sparse = _both(_terms(), monkeypatch)
    curvature = torch.rand(90, 2, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.einsum("nr,nsk->rsk", _written_out(sparse).float().square(), curvature)
    torch.testing.assert_close(sparse.diagonal(curvature), expected, rtol=1e-4, atol=1e-4)


def test_reordered_rows_are_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    for made in _both(_terms(), monkeypatch):
        before = _written_out(made)
        made.reorder(order)
        assert torch.equal(_written_out(made), before[order])
        part = made.rows(slice(10, 40))
        torch.testing.assert_close(_written_out(part), before[order[10:40]])
        single = torch.eye(made.columns)
        torch.testing.assert_close(part.values(single), before[order[10:40]].float())


@pytest.mark.parametrize("strength", [1e-3, 1e-1, 10.0])
def test_the_sparse_optimum_is_that_of_scikit_learn(strength: float, monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets = _terms(), np.arange(90) % 3
    monkeypatch.setattr(design, "_SPARSE_SIZE", 10)
    assert isinstance(design_of(features), SparseDesign)
    head = fit_exact_strength(features, targets, TASK, strength).head
    standard = StandardScaler().fit_transform(features.astype(np.float64))
    model = LogisticRegression(C=strength, tol=1e-9, max_iter=20_000).fit(standard, targets)
    ours = predict_scores(TASK, head(torch.from_numpy(features))).detach().numpy()
    np.testing.assert_allclose(ours, model.predict_proba(standard), atol=2e-5)


def test_weighted_terms_keep_their_proportions() -> None:
    """The common scale only rescales the penalty: scikit-learn's fit on the raw rows."""
    features, targets = _unit(_terms()), np.arange(90) % 3
    head = fit_exact_strength(features, targets, TASK, 0.1).head
    common = features.astype(np.float64).var(axis=0).mean()
    model = LogisticRegression(C=0.1 / common, tol=1e-9, max_iter=20_000).fit(
        features.astype(np.float64), targets
    )
    ours = predict_scores(TASK, head(torch.from_numpy(features))).detach().numpy()
    np.testing.assert_allclose(ours, model.predict_proba(features), atol=2e-5)


def test_dense_unit_rows_are_standardised() -> None:
    features = _unit(np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32))
    written = _written_out(design_of(features)).numpy()[:, :-1]
    expected = StandardScaler().fit_transform(features.astype(np.float64))
    np.testing.assert_allclose(written @ written.T, expected @ expected.T, atol=1e-9)


def test_half_precision_is_read_and_infinity_refused() -> None:
    features = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    torch.testing.assert_close(_written_out(design_of(features)), _written_out(design_of(features.float())))
    features[2, 1] = float("inf")
    with pytest.raises(DataError, match="not finite"):
        design_of(features)
