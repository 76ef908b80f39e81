"""Races on real photographs with real weights."""

from __future__ import annotations

from pathlib import Path

import pytest

import cutpoint as cp


def test_probe_on_blood_cells(shared: Path, tmp_path: Path) -> None:
    data = shared / "data" / "vision" / "bccd3"
    result = cp.fit(
        data,
        backbones=str(shared / "weights" / "mobilenetv2_035_tm"),
        regimes="linear-probe",
        image_size=96,
        per_class=20,
        out=tmp_path / "run",
        cache=tmp_path / "cache",
        threads=1,
    )
    (probe,) = result.trials
    assert result.test is not None and result.test.value > 0.9 and result.test.n == 280
    assert probe.cost.stored_bytes is not None and probe.cost.stored_bytes < 50_000
    assert cp.evaluate(tmp_path / "run", data) == result.test


def test_a_backbone_that_moved_is_named_and_found_again(shared: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    for file in (shared / "weights" / "mobilenetv2_035_tm").iterdir():
        (weights / file.name).symlink_to(file)
    cp.fit(
        shared / "data" / "vision" / "bccd3",
        backbones=str(weights),
        regimes="linear-probe",
        image_size=64,
        per_class=10,
        out=tmp_path / "run",
        cache=tmp_path / "cache",
        threads=1,
    )
    moved = weights.rename(tmp_path / "elsewhere")
    with pytest.raises(cp.CutpointError, match="is not at") as caught:
        cp.load(tmp_path / "run")
    assert "--backbone-path" in str(caught.value)
    assert cp.load(tmp_path / "run", backbone_path=moved).labels == ("Platelets", "RBC", "WBC")


@pytest.mark.slow
def test_positive_control_fine_tuning_wins_where_the_domain_is_distant(shared: Path, tmp_path: Path) -> None:
    """On defects of circuit boards trained blocks beat the probe by ten points, and the race finds it."""
    data, weights = shared / "data" / "vision" / "deeppcb6", str(shared / "weights" / "mobilenetv2_035_tm")
    options = {"backbones": weights, "image_size": 96, "cache": tmp_path / "cache"}
    raced = cp.fit(data, regimes=["linear-probe", "partial"], budget="20m", out=tmp_path / "race", **options)
    probe = cp.fit(data, regimes="linear-probe", out=tmp_path / "probe", **options)
    assert raced.winner is not None and raced.winner.startswith("partial")
    assert raced.test is not None and probe.test is not None
    assert raced.test.value >= probe.test.value + 0.10
