"""The table that `print(result)` shows."""

from __future__ import annotations

import io

import pytest
import sample_result
from rich.console import Console

from cutpoint.reports import print_result, result_text
from cutpoint.types import Audit, Finding


@pytest.mark.parametrize(
    "name", ["ten_classes", "binary", "regression", "interrupted", "many_classes", "texts", "language"]
)
def test_every_result_fits_a_hundred_columns(name: str) -> None:
    text = result_text(getattr(sample_result, name)())
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "\x1b" not in text


def test_the_table_says_what_ships_and_why_the_rest_does_not() -> None:
    result = sample_result.ten_classes()
    text = result_text(result)
    joined = " ".join(text.split())
    lines = text.splitlines()
    assert lines[0].split()[0] == "trial"
    winner = next(line for line in lines if line.endswith("ships"))
    for cell in ("partial@17", "85.3 % [83.8–86.8]", "96.0", "53.8 %", "4.83 MB"):
        assert cell in winner
    assert "unfreeze-until-plateau" in joined and "~5400" in joined
    assert "out of the race" in joined and "Ctrl-C" not in joined
    assert "Test accuracy: 84.8 %, 95 % interval 82.3–87.3 %, 813 examples." in joined
    assert 'Warning: The largest class has 7 times the examples of the smallest. 588 of <b>&"shirt' in joined
    assert result.best in joined


def test_rows_stand_cheapest_first_by_measured_or_predicted_time() -> None:
    text = result_text(sample_result.ten_classes())
    order = [text.index(name) for name in ("image-statistics", "mlp-head", "from-scratch", "full-l2sp")]
    assert order == sorted(order)


def test_an_interrupted_run_names_no_winner() -> None:
    text = result_text(sample_result.interrupted())
    assert "Interrupted" in text and "ships" not in text and "Model:" not in text


def test_names_with_brackets_are_not_markup() -> None:
    result = sample_result.interrupted()
    trial = result.trials[0].model_copy(update={"id": "[bold]mine[/bold]"})
    assert "[bold]mine[/bold]" in result_text(result.model_copy(update={"trials": (trial,)}))


def test_a_console_decides_about_colour() -> None:
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=True, color_system="standard")
    print_result(sample_result.ten_classes(), console)
    assert "\x1b[" in file.getvalue()


def test_what_was_lost_elsewhere_has_a_column_only_where_it_was_measured() -> None:
    lines = result_text(sample_result.texts()).splitlines()
    assert "elsewhere" in lines[0]
    assert "−0.009" in next(line for line in lines if line.startswith("lora (rank 16)"))
    assert "elsewhere" not in result_text(sample_result.ten_classes())


def test_perplexity_is_no_share() -> None:
    joined = " ".join(result_text(sample_result.language()).split())
    assert "1 650 [1 200–2 100]" in joined
    assert "330 [300–360]" in joined and "led at first" in joined
    assert "kept out: −9.1 %, P(gain > 0) 8 %" in joined


def test_short_names_do_not_break_the_heading() -> None:
    full = sample_result.ten_classes()
    full = full.model_copy(update={"trials": tuple(t for t in full.trials if t.id == "full")})
    assert [line.split()[0] for line in result_text(full).splitlines()[:2]] == ["trial", "full"]


def test_what_corrected_labels_gained_is_told_though_it_is_a_note() -> None:
    gain = Finding(code="label-correction-gain", severity="info", text="Nine labels gained two points.")
    note = Finding(code="imbalance", severity="info", text="One class is larger.")
    result = sample_result.ten_classes().model_copy(
        update={"audit": Audit(checked=("imbalance",), findings=(note, gain))}
    )
    assert gain.text in result_text(result) and note.text not in result_text(result)


def test_text_evidence_and_remedy_of_a_warning_are_sentences() -> None:
    found = Finding(
        code="few", severity="warning", text="1 class is small.", evidence="red (3)", remedy="Label it."
    )
    full = sample_result.ten_classes()
    assert full.verdict is not None
    full = full.model_copy(update={"verdict": full.verdict.model_copy(update={"findings": (found,)})})
    assert "Warning: 1 class is small. red (3). Label it." in result_text(full)
