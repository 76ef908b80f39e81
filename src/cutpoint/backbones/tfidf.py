"""TF-IDF as a backbone without a network: which terms a text holds, weighted by how rare they are.

Term frequency times inverse document frequency (Spärck Jones 1972; Salton & Buckley 1988), with scikit-learn's
tokens and formula. It is the cheap honest trial of texts: what a pretrained network gains is gained over this.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor, nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.inputs import Inputs
from cutpoint.errors import DataError
from cutpoint.types import BackboneReference, Provenance, TextPair, TfidfPreprocessing

TFIDF_NAME = "builtin:tfidf"
MOST_TERMS = 3000
"""Words and pairs of neighbouring words kept at most: those that stand in most texts."""

# Unlike scikit-learn's own pattern this keeps words of one letter: "i", "a", and single signs.
_ANALYSIS = {"lowercase": True, "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}


def tfidf_backbone(texts: Sequence[Any]) -> Backbone:
    """Terms and weights counted in these texts, none of which may be a test text.

    Args:
        texts: str or `TextPair`.

    Raises:
        DataError: No text holds a word, or an input is not a text.
    """
    return from_preprocessing(count_terms(texts))


def from_preprocessing(preprocessing: TfidfPreprocessing) -> Backbone:
    """The backbone as it was written down."""
    digest = xxhash.xxh3_128("\0".join(preprocessing.terms).encode())
    digest.update(np.array(preprocessing.weights, dtype="<f8").tobytes())
    return Backbone(
        reference=BackboneReference(kind="builtin", name=TFIDF_NAME, digest=digest.hexdigest()),
        module=nn.Identity(),
        blocks=(),
        inputs=TfidfInputs(preprocessing),
        width=preprocessing.width,
        provenance=Provenance(licence="Apache-2.0", trained_on="the terms of your training texts"),
        rebuild=nn.Identity,
    )


def count_terms(texts: Sequence[Any]) -> TfidfPreprocessing:
    """The terms that most texts hold (ties: in the order of the alphabet), with their inverse document frequencies.

    A term of a single text says nothing about another one, and is left out where any stands in two.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(binary=True, **_ANALYSIS)
    try:
        counts = np.asarray(vectorizer.fit_transform([_as_text(text) for text in texts]).sum(axis=0)).ravel()
    except ValueError as error:
        raise DataError(
            f"None of the {len(texts)} training texts holds a word, so there is nothing for TF-IDF to count.",
            "Check that the text column is the right one.",
        ) from error
    terms = vectorizer.get_feature_names_out()
    repeated = counts >= min(2, counts.max())
    terms, counts = terms[repeated], counts[repeated]
    # The terms stand in the order of the alphabet: a stable sort leaves ties in it.
    kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_TERMS])
    weights = np.log((1 + len(texts)) / (1 + counts[kept])) + 1
    return TfidfPreprocessing(
        terms=tuple(str(term) for term in terms[kept]),
        weights=tuple(round(float(weight), 6) for weight in weights),
    )


class TfidfInputs(Inputs):
    """A text or a pair of texts: float32 (terms,) of length 1; all zeros where it holds no known term."""

    preprocessing: TfidfPreprocessing

    def __init__(self, preprocessing: TfidfPreprocessing) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        self.preprocessing = preprocessing
        self.shape = (preprocessing.width,)
        self.dtype = np.dtype(np.float32)
        self._columns = {term: column for column, term in enumerate(preprocessing.terms)}
        self._terms_of = CountVectorizer(**_ANALYSIS).build_analyzer()

    def prepare(self, source: Any) -> NDArray[Any]:
        """float32 (terms,)."""
        row = np.zeros(self.preprocessing.width, dtype=np.float64)
        for term, times in Counter(self._terms_of(_as_text(source))).items():
            column = self._columns.get(term)
            if column is not None:
                row[column] = (1 + math.log(times)) * self.preprocessing.weights[column]
        return (row / max(float(np.linalg.norm(row)), 1e-12)).astype(np.float32)

    def noise(self, batch: int, seed: int = 0, *, longer: bool = False) -> Tensor:
        """float32 (B, terms)."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(batch, self.preprocessing.width, generator=generator)


def _as_text(source: Any) -> str:
    if isinstance(source, str):
        return source
    if isinstance(source, TextPair):
        return f"{source.first}\n{source.second}"
    raise DataError(
        f"TF-IDF takes texts and pairs of texts, not {type(source).__name__}.",
        "Leave this backbone out, or give each example as one text.",
    )
