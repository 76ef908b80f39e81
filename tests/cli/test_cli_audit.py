"""`cutpoint audit`: what is understood, what is cut off, what is trained."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from cutpoint.cli import audit


def test_it_says_what_was_understood_and_set_aside(
    cutpoint, animals: Path, encoder: Path, tmp_path: Path
) -> None:
    data = tmp_path / "texts.csv"
    data.write_text((animals.parent / "texts.csv").read_text() + "\n ,cat")
    ended = cutpoint("audit", data, "--backbone", encoder, "--max-length", "8")
    assert ended.code == 0, ended.err
    for words in ("text data, multiclass, 3 classes", "labels in “label”", "Set aside: row 49: empty text"):
        assert words in ended.out
    assert "cut off at 8 tokens: " in ended.out and "the longest has 11" in ended.out
    facts = json.loads(cutpoint("audit", data, "--backbone", encoder, "--max-length", "8", "--json").out)
    assert facts["texts"]["max_length"] == 8 and 0 < facts["texts"]["truncated"] < 48
    assert facts["data"]["quarantined"] == [{"name": "row 49", "reason": "empty text"}]
    assert "texts" not in json.loads(cutpoint("audit", data, "--json").out)


def test_images_are_audited_too(cutpoint, bars: Path) -> None:
    ended = cutpoint("audit", bars)
    assert ended.code == 0 and "image data, binary, 2 classes" in ended.out


def test_trained_tokens_stand_in_brackets(cutpoint, chats: Path, storyteller: Path) -> None:
    ended = cutpoint("audit", chats, "--backbone", storyteller, "--show-mask", "--rows", "2")
    assert ended.code == 0, ended.err
    first = json.loads(chats.read_text().splitlines()[0])["messages"][1]["content"]
    assert "row 1: " in ended.out and "row 3: " not in ended.out
    assert f"⟦ {first}[SEP]⟧" in ended.out  # the end of the text is trained too
    shown = json.loads(cutpoint("audit", chats, "--backbone", storyteller, "--show-mask", "--json").out)
    assert len(shown["masks"]) == 3
    trained = sum(is_trained for _, is_trained in shown["masks"][0])
    assert f"row 1: {trained} of {len(shown['masks'][0])} tokens are trained" in ended.out
    assert 0 < shown["mask"]["trained"] < shown["mask"]["tokens"] and shown["mask"]["rows_without"] == 0


def test_nothing_to_train_is_an_error(cutpoint, storyteller: Path, tmp_path: Path) -> None:
    rows = [
        [
            {"role": "user", "content": "the cat on a dog " * (5 + n)},
            {"role": "assistant", "content": "run home"},
        ]
        for n in range(8)
    ]
    data = tmp_path / "long.jsonl"
    data.write_text("\n".join(json.dumps({"messages": row}) for row in rows))
    ended = cutpoint("audit", data, "--backbone", storyteller, "--max-length", "16")
    assert ended.code == 2 and "is trained" in ended.err and "behind token 16" in ended.err
    assert "--max-length" in ended.err


def test_a_mask_needs_a_language_model(cutpoint, animals: Path, chats: Path) -> None:
    ended = cutpoint("audit", animals.parent / "texts.csv", "--show-mask")
    assert ended.code == 2 and "multiclass" in ended.err
    ended = cutpoint("audit", chats, "--show-mask")
    assert ended.code == 2 and "--backbone" in ended.err
    ended = cutpoint("audit", chats, "--max-length", "16")
    assert ended.code == 2 and "--backbone" in ended.err


@pytest.mark.parametrize(("term", "marked"), [("xterm-256color", "\x1b[7mcat\x1b[0m"), ("dumb", "⟦cat⟧")])
def test_a_terminal_shows_them_reversed(term: str, marked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, highlight=False)
    audit._show_mask("row 1", [("a ", False), ("c", True), ("at", True)], console)
    assert marked in file.getvalue()


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Texts with a split column; two test texts are training texts in capitals, one of them under another label."""
    rows = [f"{word} number {n} of the list,{word},train" for word in ("apple", "plum") for n in range(12)]
    rows += [f"{word} from {place},{word},test" for word in ("apple", "plum") for place in ("Rome", "Oslo")]
    rows += ["APPLE number 3 of the list!,apple,test", "PLUM number 5 of the list,apple,test"]
    file = tmp_path / "fruit.csv"
    file.write_text("\n".join(["text,label,split", *rows]))
    return file


def test_leaks_are_told_with_the_way_out(cutpoint, leaky: Path, tmp_path: Path) -> None:
    ended = cutpoint("audit", leaky)
    assert ended.code == 4 and max(map(len, ended.out.splitlines())) <= 100 + len(str(leaky))
    assert "ERROR  leaked duplicates" in ended.out and "2 of 6 test examples (33.3 %)" in ended.out
    assert "row 29 = row 4" in ended.out and f"Next: cutpoint audit {leaky} --fix fixed.csv" in ended.out
    found = json.loads(cutpoint("audit", leaky, "--json").out)
    assert found["audit"]["findings"][0]["code"] == "leaked-duplicates"
    assert found["audit"]["class_weights"] == {"apple": 1.0, "plum": 1.0} and "task" in found


def test_the_next_command_repeats_what_was_told_of_the_data(cutpoint, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    rows = [f"{number},{number * 7 % 5},{'yes' if number % 2 else 'no'}" for number in range(40)]
    file.write_text("\n".join(["age,size,left", *rows]))
    ended = cutpoint("audit", file, "--target-column", "left", "--task", "binary")
    assert ended.code == 0, ended.err
    assert f"Next: cutpoint fit {file} --target-column left --task binary" in ended.out


def test_labels_of_a_raw_table_are_reviewed_without_a_network(cutpoint, tmp_path: Path) -> None:
    file, review = tmp_path / "people.csv", tmp_path / "review.csv"
    rows = [
        f"{number},{number * 7 % 5},{'old' if (number >= 60) != (number == 10) else 'young'}"
        for number in range(120)
    ]
    file.write_text("\n".join(["years,size,label", *rows]))
    ended = cutpoint("audit", file, "--review", review)
    assert ended.code == 0, ended.err
    assert "row 11,old,young," in review.read_text()


def test_fixed_splits_are_clean_and_can_be_trained_on(cutpoint, leaky: Path, tmp_path: Path) -> None:
    before, fixed = leaky.read_text(), tmp_path / "fixed.csv"
    ended = cutpoint("audit", leaky, "--fix", fixed)
    assert ended.code == 0, ended.err
    assert (
        "22 train, 6 test" in ended.out
        and "Left out, 2 copies of what is judged on: row 4, row 18" in ended.out
    )
    assert "Labels to decide: row 18 (plum), row 30 (apple)" in ended.out
    assert f"Next: cutpoint fit {fixed}" in ended.out and leaky.read_text() == before
    again = cutpoint("audit", fixed)
    assert again.code == 0 and "22 train, 6 test" in again.out and "leaked" not in again.out
    refused = cutpoint("audit", leaky, "--fix", fixed)
    assert refused.code == 2 and "exists already" in refused.err


def test_a_fit_stops_at_leaks_unless_they_are_allowed(
    cutpoint, leaky: Path, encoder: Path, tmp_path: Path
) -> None:
    command = (
        "train",
        leaky,
        "--backbone",
        encoder,
        "--out",
        tmp_path / "run",
        "--cache",
        tmp_path / "cache",
    )
    ended = cutpoint(*command)
    assert ended.code == 2 and "2 of 6 test examples" in ended.err
    assert (
        "--fix" in ended.err and "--allow-leakage" in ended.err and not (tmp_path / "run" / "model").exists()
    )
    assert cutpoint(*command, "--allow-leakage").code == 0
