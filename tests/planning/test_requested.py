"""What the user named is checked before any input is read, and hand-made features can be named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cutpoint as cp
from cutpoint.errors import BackboneError, CutpointError, DataError, RegimeError
from cutpoint.planning.requested import Requested

WORDS = {"red": ("rose", "blood", "tomato"), "blue": ("sky", "sea", "ink")}


@pytest.mark.parametrize(
    ("named", "error", "told"),
    [
        ({"metric": "acuracy"}, DataError, "Did you mean accuracy"),
        ({"target": "acuracy>=0.9"}, DataError, "Did you mean accuracy"),
        ({"target": "accuracy<=0.9"}, CutpointError, "more is better"),
        ({"target": "rmse<=2", "metric": "mae"}, CutpointError, "judged by 'mae'"),
        ({"regimes": "linear-prob"}, RegimeError, "mean linear-probe"),
        ({"regimes": "tfidf"}, RegimeError, "mean tf-idf"),
        ({"backbones": "mobilenetv2_10"}, BackboneError, "mean mobilenetv2_100"),
        ({"backbones": ["builtin:glyphs", "builtin:glyfs"]}, BackboneError, "mean builtin:glyphs"),
    ],
)
def test_names_that_fit_no_data_are_told_by_themselves(
    named: dict[str, Any], error: type[CutpointError], told: str
) -> None:
    with pytest.raises(error, match=told):
        Requested(**{"backbones": "builtin:glyphs", "regimes": "linear-probe", **named})


@pytest.fixture(scope="module")
def unreadable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures by class that cannot be read: whoever opens one complains of that."""
    folder = tmp_path_factory.mktemp("unreadable")
    for label in ("a", "b"):
        (folder / label).mkdir()
        for number in range(6):
            (folder / label / f"{number}.png").write_bytes(b"no picture")
    return folder


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"metric": "rmse"}, "cannot judge a binary task.*\n.*accuracy"),
        ({"target": "r2>=0.5"}, "judged by 'accuracy'"),
        ({"cut": "stage9"}, "no cut 'stage9'.*\n.*did you mean"),
        ({"cut": 99}, "no cut 99.*\n.*from 0 to"),
        ({"image_size": 64}, "one input size only"),
        ({"regimes": "tf-idf"}, "not for these data.*\n.*image-statistics"),
        ({"device": "abacus"}, "'abacus' is not here"),
    ],
)
@pytest.mark.parametrize("verb", [cp.fit, cp.advise])
def test_what_does_not_fit_is_told_before_an_image_is_read(
    unreadable: Path, tmp_path: Path, verb: Any, named: dict[str, Any], told: str
) -> None:
    if verb is cp.advise and "target" in named:
        return
    place = {"out": tmp_path / "run"} if verb is cp.fit else {}
    with pytest.raises(CutpointError, match=told):
        verb(unreadable, **{"backbones": "builtin:glyphs", "regimes": "partial", **place, **named})


def test_term_weights_alone_race_without_any_backbone(tmp_path: Path) -> None:
    texts = [
        f"the {word} number {number}" for words in WORDS.values() for word in words for number in range(8)
    ]
    labels = [label for label, words in WORDS.items() for _ in words for _ in range(8)]
    result = cp.fit(texts, labels, regimes="tf-idf", out=tmp_path / "run", threads=1)
    assert [trial.id for trial in result.trials] == ["tf-idf"]
    assert result.backbones.keys() == {"builtin:tfidf"} and result.winner == "tf-idf"
    assert cp.load(tmp_path / "run").predict(["the tomato number 9"]) == ["red"]


def test_hand_made_statistics_race_beside_what_is_named(stripes: Path, tmp_path: Path) -> None:
    named = ["linear-probe", "image-statistics"]
    result = cp.fit(stripes, backbones="builtin:glyphs", regimes=named, out=tmp_path / "run", threads=1)
    assert sorted(trial.id for trial in result.trials) == sorted(named)


def test_advice_on_hand_made_features_still_looks_at_the_network(stripes: Path) -> None:
    advice = cp.advise(stripes, backbones="builtin:glyphs", regimes="image-statistics", threads=1)
    assert advice.axes.backbone == "builtin:glyphs"
