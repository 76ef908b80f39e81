"""TF-IDF: scikit-learn's figures, prepared from what is written down alone."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

import cutpoint.backbones.tfidf as tfidf
from cutpoint.backbones.tfidf import from_preprocessing, tfidf_backbone
from cutpoint.errors import DataError
from cutpoint.types import TextPair, TfidfPreprocessing, Words

TEXTS = [
    "I want my money back",
    "Where is my money?",
    "My card, my CARD is lost!",
    "a lost card is a lost card",
    "is my card back",
]


def test_the_figures_are_those_of_scikit_learn() -> None:
    backbone = tfidf_backbone(TEXTS)
    theirs = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"(?u)\b\w+\b")
    expected = theirs.fit_transform(TEXTS).toarray()
    assert backbone.preprocessing.terms == tuple(theirs.get_feature_names_out())
    assert "my card" in backbone.preprocessing.terms and "want" not in backbone.preprocessing.terms
    ours = np.stack([backbone.inputs.prepare(text) for text in TEXTS])
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)


def test_the_record_alone_gives_the_same_backbone() -> None:
    backbone = tfidf_backbone(TEXTS)
    record = TfidfPreprocessing.model_validate_json(backbone.preprocessing.model_dump_json())
    again = from_preprocessing(record)
    assert again.reference == backbone.reference
    assert (again.width, again.blocks, again.name) == (backbone.width, (), "builtin:tfidf")
    for text in (*TEXTS, "a new text about my lost card"):
        assert np.array_equal(again.inputs.prepare(text), backbone.inputs.prepare(text))
    batch = again.inputs.collate([again.inputs.prepare(text) for text in TEXTS])
    assert again.module(again.inputs.to_network(batch)).shape == (5, again.width)


def test_other_terms_or_weights_have_another_digest() -> None:
    record = TfidfPreprocessing(terms=("a", "b"), weights=(1.0, 2.0))
    others = (record.model_copy(update=change) for change in ({"terms": ("a", "c")}, {"weights": (2.0, 1.0)}))
    digests = {from_preprocessing(each).reference.digest for each in (record, *others)}
    assert len(digests) == 3


def test_the_terms_of_most_texts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfidf, "MOST_TERMS", 4)
    # "my" stands in four texts, "card" and "is" … in three or four: twice in one text counts once.
    record = tfidf_backbone(TEXTS).preprocessing
    assert record.terms == ("back", "card", "is", "my")


def test_texts_without_known_terms_are_zeros_and_single_texts_count() -> None:
    backbone = tfidf_backbone(["only one", "another here"])
    assert set(backbone.preprocessing.terms) >= {"only one", "another"}
    assert not backbone.inputs.prepare("nothing known").any()
    assert not backbone.inputs.prepare("").any()


def test_a_pair_counts_both_texts_in_order() -> None:
    backbone = tfidf_backbone([TextPair("my card", "is lost"), TextPair("my card", "is here")])
    assert backbone.preprocessing.terms == ("card", "card is", "is", "my", "my card")
    row = backbone.inputs.prepare(TextPair("the card", "is"))
    assert row[backbone.preprocessing.terms.index("card is")] > 0


def test_noise_leaves_the_global_state_alone() -> None:
    inputs = tfidf_backbone(TEXTS).inputs
    before = torch.get_rng_state()
    noise = inputs.noise(3, seed=1)
    assert noise.shape == (3, *inputs.shape)
    assert torch.equal(noise, inputs.noise(3, seed=1, longer=True))
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_not_a_text_is_refused() -> None:
    with pytest.raises(DataError, match="not Words"):
        tfidf_backbone([Words(("a", "b"))])
    with pytest.raises(DataError, match="None of the 2 training texts holds a word"):
        tfidf_backbone(["?!", ""])


def test_real_texts_are_told_apart(shared: Path) -> None:
    with (shared / "data/text/banking77/train.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    backbone = tfidf_backbone([row["text"] for row in rows])
    assert backbone.width == tfidf.MOST_TERMS
    labels = [row["label"] for row in rows]
    lost = [i for i, label in enumerate(labels) if label == "lost_or_stolen_card"][:40]
    rate = [i for i, label in enumerate(labels) if label == "exchange_rate"][:40]
    vectors = {i: backbone.inputs.prepare(rows[i]["text"]) for i in (*lost, *rate)}
    centres = [np.mean([vectors[i] for i in chosen[:20]], axis=0) for chosen in (lost, rate)]
    right = [
        int(np.argmax([vectors[i] @ c for c in centres])) == n
        for n, s in enumerate((lost, rate))
        for i in s[20:]
    ]
    assert np.mean(right) > 0.9
