"""Features that are read chunk by chunk give the head that features in memory give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cutpoint.errors import DataError
from cutpoint.heads import chunks, held, streamed_path
from cutpoint.heads.chunks import Chosen
from cutpoint.heads.exact import fit_exact, fit_exact_strength
from cutpoint.types import Task

ROWS, WIDTH = 400, 12
LABELS = ("a", "b", "c")


def _case(kind: str) -> tuple[NDArray[np.float32], NDArray[Any], Task]:
    """Correlated features far from zero, one of them constant, and noisy answers."""
    random = np.random.default_rng(0)
    features = random.normal(size=(ROWS, WIDTH)) @ random.normal(size=(WIDTH, WIDTH)) + 5
    features[:, 0] = 2.0
    logits = (features - features.mean(axis=0)) @ random.normal(size=(WIDTH, 3)) / 3
    logits += 2 * random.normal(size=logits.shape)
    found: dict[str, tuple[NDArray[Any], Task]] = {
        "multiclass": (logits.argmax(axis=1), Task(kind="multiclass", labels=LABELS)),
        "binary": ((logits[:, 0] > 0).astype(np.int64), Task(kind="binary", labels=LABELS[:2])),
        "multilabel": (
            (logits > 0).astype(np.float32),
            Task(kind="multilabel", labels=LABELS, metric="f1_micro"),
        ),
        "regression": (
            (5 * logits[:, 0] + 7).astype(np.float32),
            Task(kind="regression", metric="r2"),
        ),
    }
    return features.astype(np.float32), *found[kind]


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few the rows, they are read in chunks, the last of them a short one."""
    monkeypatch.setattr(streamed_path, "HELD_BYTES", 1)
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 8 * WIDTH * 97)


@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel", "regression"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_strength_head_and_predictions_are_those_of_rows_in_memory(
    kind: str, weighted: bool, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    features, targets, task = _case(kind)
    weights = [1.0, 2.0, 0.5][: task.outputs] if weighted and kind != "regression" else None
    monkeypatch.setattr(held, "_MANY", 1)  # one fold alone chooses there too
    expected = fit_exact(features, targets, task, class_weights=weights, inner_folds=3)
    request.getfixturevalue("streamed")
    found = fit_exact(features, targets, task, class_weights=weights, inner_folds=3)
    assert found.strength == expected.strength
    best = min(loss for _, loss in expected.path)
    for (strength, loss), (other, theirs) in zip(found.path, expected.path, strict=True):
        assert strength == other
        assert loss == pytest.approx(
            theirs, abs=1e-4 if theirs < best + 2e-2 else 1e-3
        )  # the latter are rough
    assert found.out_of_fold is not None and expected.out_of_fold is not None
    np.testing.assert_allclose(found.out_of_fold, expected.out_of_fold, atol=1e-4)
    for name, tensor in expected.head.state_dict().items():
        np.testing.assert_allclose(found.head.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("streamed")
def test_chosen_rows_of_a_file_are_read_as_needed(tmp_path: Path) -> None:
    features, targets, task = _case("multiclass")
    np.save(tmp_path / "features.npy", features)
    stored = np.load(tmp_path / "features.npy", mmap_mode="r")
    rows = np.random.default_rng(1).permutation(ROWS)[:300]
    read: list[int] = []

    class Counted(Chosen):
        def __getitem__(self, asked: Any, /) -> Any:
            read.append(len(asked))
            return super().__getitem__(asked)

    found = fit_exact(Counted(stored, rows), targets[rows], task, inner_folds=3)
    expected = fit_exact(features[rows], targets[rows], task, inner_folds=3)
    assert max(read) <= 97
    np.testing.assert_array_equal(found.out_of_fold, expected.out_of_fold)


@pytest.mark.usefixtures("streamed")
def test_predictions_that_nobody_wants_are_not_made() -> None:
    features, targets, task = _case("multiclass")
    with_them = fit_exact(features, targets, task, inner_folds=3)
    without = fit_exact(features, targets, task, inner_folds=3, out_of_fold=False)
    assert without.out_of_fold is None and without.strength == with_them.strength
    assert (without.head.layers.weight == with_them.head.layers.weight).all()


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_a_given_strength_is_solved_in_chunks_too(kind: str) -> None:
    features, targets, task = _case(kind)
    streamed_head = fit_exact_strength(features, targets, task, 0.01).head
    monkey = pytest.MonkeyPatch()
    monkey.setattr(streamed_path, "HELD_BYTES", 1 << 30)
    in_memory = fit_exact_strength(features, targets, task, 0.01).head
    monkey.undo()
    np.testing.assert_allclose(
        streamed_head.layers.weight.detach(), in_memory.layers.weight.detach(), rtol=1e-4, atol=1e-6
    )


@pytest.mark.usefixtures("streamed")
def test_a_value_that_is_no_number_is_refused() -> None:
    features, targets, task = _case("multiclass")
    features[-1, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        fit_exact(features, targets, task)


def test_what_is_small_wide_or_sparse_stays_in_memory() -> None:
    def full(rows: int, width: int) -> NDArray[np.float32]:
        return np.ones((rows, width), dtype=np.float32)

    assert streamed_path.is_streamed(full(64_000, 192))
    assert not streamed_path.is_streamed(full(2_000, 1_280))
    assert not streamed_path.is_streamed(full(3_000, 8_000))
    assert not streamed_path.is_streamed(np.zeros((9_000, 1_200), dtype=np.float32))
