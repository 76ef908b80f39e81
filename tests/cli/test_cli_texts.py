"""Models of texts on the command line: classes, tags, and what a language model writes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

CLASSES = {"cat", "dog", "cow"}


def _cells(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


def test_texts_are_named_as_they_are(cutpoint, animals: Path) -> None:
    ended = cutpoint("predict", animals, "the cat\ton a cat", "two dog run dog", "--threads", "1")
    assert ended.code == 0, ended.err
    cells = _cells(ended.out)
    assert [row[0] for row in cells] == ["the cat on a cat", "two dog run dog"]
    assert all(row[1] in CLASSES and 1 / 3 <= float(row[2]) <= 1 for row in cells)
    shown = json.loads(cutpoint("predict", animals, "the cat\ton a cat", "--json", "--proba").out)
    assert shown[0]["input"] == "the cat\ton a cat" and set(shown[0]["probabilities"]) == CLASSES


def test_tables_lines_and_stdin_hold_texts(
    cutpoint, animals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["the cat saw cat", "a dog on dog", "cow and cow"]
    (tmp_path / "new.csv").write_text(
        "\n".join(["id,text", *(f"{n},{text}" for n, text in enumerate(texts))])
    )
    (tmp_path / "new.txt").write_text("\n\n".join(texts))
    (tmp_path / "new.jsonl").write_text("\n".join(json.dumps({"words here": text, "n": 1}) for text in texts))
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(texts)))
    plain = [row[1:] for row in _cells(cutpoint("predict", animals, *texts).out)]
    for named, first in (("new.csv", "row 1"), ("new.txt", "line 1"), ("new.jsonl", "row 1")):
        ended = cutpoint("predict", animals, tmp_path / named)
        assert ended.code == 0, ended.err
        cells = _cells(ended.out)
        assert [row[1:] for row in cells] == plain
        assert cells[0][0] == f"{tmp_path / named} {first}"
    assert [row[1:] for row in _cells(cutpoint("predict", animals, "-").out)] == plain
    ended = cutpoint("predict", animals, tmp_path / "new.csv", "--input-column", "id")
    assert ended.code == 0 and ended.out != ""


def test_a_mistyped_file_is_no_text(cutpoint, animals: Path) -> None:
    ended = cutpoint("predict", animals, "absent.csv")
    assert ended.code == 2 and "absent.csv does not exist" in ended.err and not ended.out
    assert cutpoint("predict", animals, "is cat a dog.csv").code == 0


def test_empty_texts_are_told_and_the_others_predicted(cutpoint, animals: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text('text\nthe cat\n"  "\na dog\n')
    ended = cutpoint("predict", animals, tmp_path / "new.csv")
    assert ended.code == 3 and len(ended.out.splitlines()) == 2
    assert "new.csv row 2: empty text" in ended.err and "1 of 3 inputs" in ended.err
    rows = json.loads(cutpoint("predict", animals, tmp_path / "new.csv", "--json").out)
    assert [sorted(row) for row in rows] == [
        ["input", "label", "probability"],
        ["error", "input"],
        ["input", "label", "probability"],
    ]


def test_words_get_tags(cutpoint, tagger: Path, tmp_path: Path) -> None:
    ended = cutpoint("predict", tagger, "the cat on a barn")
    assert ended.code == 0, ended.err
    (row,) = _cells(ended.out)
    assert row == ["the cat on a barn", "O B-animal O O B-place"]
    (tmp_path / "new.jsonl").write_text(json.dumps({"tokens": ["the", "cat", "on", "a", "barn"]}))
    (answer,) = json.loads(cutpoint("predict", tagger, tmp_path / "new.jsonl", "--json").out)
    assert answer["tags"] == row[1].split()
    ended = cutpoint("predict", tagger, "the cat", "--proba")
    assert ended.code == 2 and "no class probabilities" in ended.err
    ended = cutpoint("evaluate", tagger, tagger.parent / "words.jsonl", "--threads", "1")
    assert ended.code == 0 and ended.out.startswith("entity F1: ")


def test_a_language_model_writes_on(cutpoint, writer: Path, chats: Path) -> None:
    answers = json.loads(cutpoint("predict", writer, "the cat", "two dog", "--json").out)
    assert [set(answer) for answer in answers] == [{"input", "text"}] * 2
    ended = cutpoint("predict", writer, chats)
    assert ended.code == 0, ended.err
    assert len(_cells(ended.out)) == 20 and all(len(row) == 2 for row in _cells(ended.out))
    score = json.loads(cutpoint("evaluate", writer, chats, "--json").out)
    assert score["metric"] == "perplexity" and score["value"] > 1
    prompts = chats.parent / "prompts.jsonl"
    prompts.write_text(json.dumps({"prompt": "the cat", "completion": "saw"}))
    (answer,) = json.loads(cutpoint("predict", writer, prompts, "--json").out)
    assert answer["text"] == answers[0]["text"]
    assert "What it writes" in (writer / "report.html").read_text()


def test_prompts_without_room_for_an_answer_are_told(cutpoint, writer: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("the cat\n" + "the " * 40)
    ended = cutpoint("predict", writer, tmp_path / "prompts.txt")
    assert ended.code == 3 and "prompts.txt line 2: a prompt of 41 tokens" in ended.err
    assert ended.out.startswith(f"{tmp_path}/prompts.txt line 1\t")


def test_options_of_texts_reach_the_race(cutpoint, animals: Path, encoder: Path, tmp_path: Path) -> None:
    data = animals.parent / "texts.csv"
    options = (
        "--backbone",
        encoder,
        "--regime",
        "linear-probe",
        "--budget",
        "60s",
        "--cache",
        tmp_path / "cache",
    )
    ended = cutpoint("fit", data, *options, "--max-length", "8", "--out", tmp_path / "run", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["settings"]["max_length"] == 8
    assert "cut off at 8 tokens" in ended.err
    ended = cutpoint("fit", data, *options, "--max-length", "64", "--out", tmp_path / "other")
    assert ended.code == 2 and "64 tokens" in ended.err


def test_two_columns_are_pairs(cutpoint, animals: Path, tmp_path: Path) -> None:
    import cutpoint as package
    from cutpoint.types import TextPair

    (tmp_path / "pairs.csv").write_text("text_a,text_b\nthe cat,a dog\ncow,home\n")
    answers = json.loads(cutpoint("predict", animals, tmp_path / "pairs.csv", "--json").out)
    expected = package.load(animals).predict_proba([TextPair("the cat", "a dog"), TextPair("cow", "home")])
    assert [answer["probability"] for answer in answers] == pytest.approx(
        expected.max(axis=1).tolist(), abs=1e-5
    )
    named = cutpoint("predict", animals, tmp_path / "pairs.csv", "--input-column", "text_a,text_b", "--json")
    assert json.loads(named.out) == answers
    (tmp_path / "bare.csv").write_text("n,m\n1,2\n")
    ended = cutpoint("predict", animals, tmp_path / "bare.csv")
    assert ended.code == 2 and "--input-column" in ended.err
