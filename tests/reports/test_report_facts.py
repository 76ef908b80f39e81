"""Order, labels, front and label placing."""

from __future__ import annotations

import random
import re
from itertools import combinations

import pytest
import sample_result
from matplotlib.transforms import Bbox

from cutpoint.reports import draw
from cutpoint.reports.facts import efficient_front, gain_over, labels_of, reference_of, trained_in_words
from cutpoint.reports.front import PANELS, front_chart
from cutpoint.types import Score, Trial


def test_the_front_holds_what_nothing_cheaper_equals() -> None:
    points = [("a", 1.0, 0.5), ("b", 2.0, 0.5), ("c", 3.0, 0.7), ("d", 3.0, 0.6), ("e", 9.0, 0.65)]
    assert efficient_front(points) == ["a", "c"]


def test_a_trial_is_called_by_its_id_and_the_size_of_its_adapter() -> None:
    assert labels_of(sample_result.ten_classes())["partial@17"] == "partial@17"
    labels = labels_of(sample_result.texts())
    assert labels["lora"] == "lora (rank 16)"
    assert labels["linear-probe"] == "linear-probe"


def test_what_is_trained_is_said_in_words() -> None:
    result = sample_result.texts()
    assert trained_in_words(result, result.trial("lora")) == (
        "pretrained weights frozen, an adapter trained in layers.2 and above"
    )
    result = sample_result.language()
    assert trained_in_words(result, result.trial("unchanged")) == "as pretrained, nothing trained"
    assert trained_in_words(result, result.trial("full")) == "every block trained"
    statistics = Trial(
        id="s",
        regime="linear-probe",
        backbone="builtin:statistics",
        cut=0,
        cut_name="head only",
        status="finished",
    )
    assert trained_in_words(result, statistics) == "no pretrained network"


def test_a_gain_in_perplexity_is_the_share_by_which_it_fell() -> None:
    result = sample_result.language()
    gain = gain_over(result, result.trial("full"), result.trial("unchanged"))
    assert gain is not None and gain.value == pytest.approx(0.8)


def test_the_reference_is_the_probe_on_most_examples() -> None:
    reference = reference_of(sample_result.ten_classes())
    assert reference is not None and reference.id == "linear-probe"


def test_a_smaller_error_is_a_gain_and_stands_higher() -> None:
    result = sample_result.regression_by_error()
    linear, head, _ = result.trials
    gain = gain_over(result, head, reference_of(result))
    assert reference_of(result) == linear
    assert gain is not None and gain.value == pytest.approx(0.9)
    chart = front_chart(result, PANELS[0], 500, 300)
    assert chart is not None
    heights = {
        label: float(re.search(rf' y="([\d.]+)"[^>]*>{label}</text>', chart).group(1))
        for label in ("linear", "mlp-head", "wide-head")
    }
    assert heights["mlp-head"] < heights["wide-head"] < heights["linear"]  # SVG counts from the top


def test_labels_of_crowded_points_do_not_overlap() -> None:
    numbers = random.Random(5)
    anchors = [
        (numbers.uniform(10, 20), numbers.uniform(0.80, 0.83), f"regime {i} @ block.{i}") for i in range(14)
    ]
    with draw.canvas("crowd", 1000, 430) as (figure, axes):
        axes.set_xlim(1, 100)
        axes.set_ylim(0.5, 0.9)
        draw.place_labels(axes, anchors, bold=3, lines=[])
        boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
        frame = axes.get_window_extent()
        figure.canvas.draw()
    assert len(boxes) == 14
    assert not [pair for pair in combinations(boxes, 2) if Bbox.intersection(*pair) is not None]
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 + 2 for box in boxes)


def test_the_svg_of_a_label_is_escaped_and_never_read_as_mathematics() -> None:
    with draw.canvas("hostile", 300, 200) as (figure, axes):
        draw.place_labels(axes, [(0.5, 0.5, "a $x_1$ <b>&")], bold=None, lines=[])
        svg = draw.to_svg(figure, 'says "<&>"')
    assert "a $x_1$ &lt;b&gt;&amp;" in svg
    assert re.search(r'aria-label="says &quot;&lt;&amp;>&quot;"', svg)


def test_of_very_many_trials_only_the_front_and_the_winner_are_named() -> None:
    result = sample_result.regression_by_error()
    best = result.trials[1]
    crowd = [best.model_copy(update={"id": f"crowd-{i}"}) for i in range(20)]
    poor = result.trials[2].model_copy(update={"id": "poor"})
    trials = (result.trials[0], *crowd, poor)
    chart = front_chart(result.model_copy(update={"trials": trials, "winner": "poor"}), PANELS[0], 1000, 400)
    assert chart is not None
    assert [name for name in ("linear", "crowd-0", "poor") if f">{name}</text>" in chart] == [
        "linear",
        "crowd-0",
        "poor",
    ]
    assert ">crowd-1</text>" not in chart


@pytest.mark.filterwarnings("error")
def test_names_in_any_script_are_drawn_without_a_warning() -> None:
    result = sample_result.regression()
    trial = result.trials[0].model_copy(update={"id": "線形 $x^$"})
    chart = front_chart(result.model_copy(update={"trials": (trial,)}), PANELS[0], 500, 300)
    assert chart is not None and "線形 $x^$</text>" in chart


def test_a_trial_without_probe_still_has_a_reference() -> None:
    score = Score(metric="r2", value=0.1, low=0.0, high=0.2, n=5)
    trial = Trial(id="t", regime="linear", backbone="none", status="finished", validation=score)
    assert reference_of(sample_result.regression().model_copy(update={"trials": (trial,)})) == trial
    assert reference_of(sample_result.interrupted()) is None
