"""The HTML report: complete, self-contained, safe against hostile names, the same on every rebuild."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sample_evidence
import sample_result
from page_text import Page

from cutpoint.errors import ArtifactError
from cutpoint.reports import write_report
from cutpoint.types import Mistake, Result

RunFolder = Callable[[Result], Path]
SAMPLES = {
    "ten": sample_result.ten_classes,
    "binary": sample_result.binary,
    "regression": sample_result.regression,
    "error": sample_result.regression_by_error,
    "interrupted": sample_result.interrupted,
    "many": sample_result.many_classes,
    "texts": sample_result.texts,
    "tags": sample_result.tags,
    "language": sample_result.language,
    "evidence": sample_evidence.with_evidence,
    "evidence on texts": sample_evidence.evidence_on_texts,
}


@cache
def text_of(name: str) -> str:
    """The report of a sample, made once for all tests that only read it."""
    with TemporaryDirectory() as folder:
        Path(folder, "model").mkdir()
        Path(folder, "result.json").write_text(SAMPLES[name]().model_dump_json(), encoding="utf-8")
        return write_report(Path(folder)).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_page_is_well_formed_and_loads_nothing(name: str) -> None:
    text = text_of(name)
    page = Page(text)
    assert not page.open and not page.crossed
    assert len(page.ids) == len(set(page.ids))
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    assert not page.handlers
    assert not {"script", "link", "iframe", "object"} & page.tags
    assert not re.search(r"url\((?!#)", text) and "@import" not in text
    assert len(text.encode()) < 2_000_000


def test_hostile_names_stay_text() -> None:
    text = text_of("ten")
    assert "<script" not in text and "<img src=x" not in text
    for label in ('<b>&"shirt', "t-shirt </td><script>alert(1)</script>", "<img src=x onerror=alert(2)>"):
        assert label in Page(text).text


def test_everything_a_reader_needs_is_there() -> None:
    result = sample_result.ten_classes()
    page = Page(text_of("ten"))
    text = page.text.replace("\u00a0", " ")
    assert result.verdict is not None
    for sentence in (result.verdict.ship, result.verdict.dearer, result.verdict.flip):
        assert text.count(sentence) == 1
    for trial in result.trials:
        assert trial.id in text and trial.reason in text
    for finding in (
        *result.verdict.findings,
        *(found for trial in result.trials for found in trial.findings),
    ):
        assert finding.text in text and finding.remedy in text
    for words in (
        "84.8 %",
        "82.3–87.3 %",
        "1 min 36 s",
        "53.8 %",
        "4.83 MB",
        "P(gain > 0) > 99 %",
        "1 h 30 min",
        "empty file",
        "ImageNet-1k",
        "Apache-2.0",
        "torch 2.13.0",
        "5-fold cross-validation",
        "17 blocks frozen",
        "3 blocks trained",
        "test/shirt/0011 <b>.jpg",
    ):
        assert words in text, words


def test_gains_are_counted_from_the_probe_that_saw_all_data() -> None:
    text = Page(text_of("ten")).text
    full = text[text.index("every block trained") :]
    assert "+4.5" in full[:200]  # 86.1 − 81.6, not 86.1 − 74.2


def test_charts_show_every_scored_trial_and_mark_the_cut() -> None:
    text = text_of("ten")
    charts = re.findall(r'<svg[^>]*class="chart".*?</svg>', text, flags=re.DOTALL)
    assert len(charts) == 3 + 1 + 4
    for chart in charts[:3]:
        for label in (
            "image-statistics: 34.1 %",
            "mlp-head",
            "unfreeze-until-plateau",
            "partial@17",
        ):
            assert f">{label}</text>" in chart
    assert ">the chosen cut</text>" in charts[3] and ">blocks.5.0</text>" in charts[3]
    assert "#01020" not in text and "var(--ink)" in charts[0]


def test_many_classes_become_a_list_of_pairs() -> None:
    page = Page(text_of("many"))
    assert "confused most" in page.text and "true class ↓" not in page.text


def test_texts_are_shown_where_pictures_would_stand() -> None:
    raw = text_of("texts")
    page = Page(raw)
    assert "blockquote" in page.tags and "play <b>some</b> jazz" in page.text
    assert 'model.predict(["some text"])' in page.text and "photo" not in page.text
    assert "lora (rank 16)" in page.text and "only the adapter is trained" in page.text
    assert "−0.009" in page.text and "on STS-B test" in page.text
    assert "Elsewhere" not in Page(text_of("ten")).text


def test_what_a_language_model_writes_is_shown_before_and_after() -> None:
    page = Page(text_of("language"))
    for words in (
        "What it writes",
        "user: 2 + 2?",
        "It is 4.",
        "a picture of a picture",
        "(nothing)",
        "+80.0 %",
    ):
        assert words in page.text, words
    assert "the share by which perplexity fell" in page.text


def test_tags_are_counted_in_words() -> None:
    page = Page(text_of("tags"))
    assert "Words per tag" in page.text and "a tag for each word, 3 tags" in page.text
    assert 'model.predict([Words(["some", "words"])])' in page.text


def test_a_matrix_shows_counts_and_recall() -> None:
    result = sample_result.binary()
    assert result.confusion is not None
    page = Page(text_of("binary"))
    counts = result.confusion.counts
    for right, row in enumerate(counts):
        shown = [str(count) for count in row if count] + [f"{100 * row[right] / sum(row):.0f} %"]
        assert " ".join(shown) in page.text


def test_an_interrupted_run_says_so_and_offers_no_model(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(sample_result.interrupted().model_dump_json())
    text = Page(write_report(tmp_path).read_text(encoding="utf-8")).text
    assert "stopped before it could choose" in text and "stopped by Ctrl-C" in text
    assert "cutpoint.load" not in text


def test_a_moved_run_names_the_model_where_it_is_now(run_folder: RunFolder) -> None:
    folder = run_folder(sample_result.regression())
    text = Page(write_report(folder).read_text(encoding="utf-8")).text
    assert f'cutpoint.load("{folder.as_posix()}/model")' in text
    assert f"cutpoint predict {folder.as_posix()}/model rows.csv" in text


def test_pictures_from_elsewhere_are_left_out(run_folder: RunFolder) -> None:
    spy = Mistake(
        name="x.jpg", truth="a", predicted="b", confidence=0.9, thumbnail="https://example.com/a.png"
    )
    result = sample_result.interrupted().model_copy(update={"mistakes": (spy,)})
    text = write_report(run_folder(result)).read_text(encoding="utf-8")
    assert "example.com" not in text and "x.jpg" in text


def test_large_pictures_do_not_swell_the_page(run_folder: RunFolder) -> None:
    picture = "data:image/jpeg;base64," + "A" * 400_000
    mistakes = tuple(
        Mistake(name=f"{number}.jpg", truth="a", predicted="b", confidence=0.9, thumbnail=picture)
        for number in range(10)
    )
    result = sample_result.interrupted().model_copy(update={"mistakes": mistakes})
    text = write_report(run_folder(result)).read_text(encoding="utf-8")
    assert text.count(picture) == 2 and "9.jpg" in text


def test_a_rebuild_gives_the_same_bytes_without_torch(run_folder: RunFolder) -> None:
    folder = run_folder(sample_result.ten_classes())
    first = write_report(folder).read_bytes()
    program = (
        "import sys, pathlib; from cutpoint.reports import write_report, result_text, read_result\n"
        "folder = pathlib.Path(sys.argv[1]); write_report(folder); result_text(read_result(folder))\n"
        "print(sorted({'torch', 'timm', 'transformers', 'sklearn'} & set(sys.modules)))\n"
        "print(sorted({name.split('.')[1] for name in sys.modules if name.startswith('cutpoint.')}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True
    )
    heavy, rooms = done.stdout.splitlines()
    assert heavy == "[]"
    assert set(re.findall(r"\w+", rooms)) <= {"reports", "types", "errors", "evaluation", "sizes"}
    assert (folder / "report.html").read_bytes() == first


def test_a_missing_or_damaged_or_foreign_result_is_a_sentence_with_a_hint(run_folder: RunFolder) -> None:
    folder = run_folder(sample_result.binary())
    file = folder / "result.json"
    good = json.loads(file.read_text())
    bad = {
        "does not exist": None,
        "damaged": file.read_text()[:-40].encode(),
        "damaged: 'utf-8'": b"\xff\xfe\x00",
        "no JSON object": b"[1, 2]",
        "schema version 0": json.dumps({**good, "schema_version": 0}).encode(),
        "schema version None": json.dumps({"accuracy": 0.9}).encode(),
        "surprise": json.dumps({**good, "surprise": 1}).encode(),
        "trials.0.regime": json.dumps({**good, "trials": [{"id": "x"}]}).encode(),
    }
    for words, content in bad.items():
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(ArtifactError) as caught:
            write_report(folder)
        assert words in caught.value.message
        assert caught.value.hint
    assert not (folder / "report.html").exists()


def test_blocks_of_a_tagger_are_probed_word_by_word() -> None:
    words = Page(text_of("tags")).text
    assert "probe F1, mean over classes" in words and "probe entity F1" not in words
