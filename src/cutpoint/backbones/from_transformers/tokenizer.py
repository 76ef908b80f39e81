"""From texts to token numbers, as the backbone's own tokenizer makes them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from torch import Tensor

from cutpoint.backbones.from_transformers.loading import Place, first_line, quiet
from cutpoint.backbones.from_transformers.reading import pooled_states
from cutpoint.backbones.from_transformers.scripts import Script, ScriptWriter
from cutpoint.backbones.inputs import Inputs
from cutpoint.backbones.tokens import IDS, MARKS, NO_MARK, PADDING, ROWS, SEGMENTS, pad, words_of
from cutpoint.errors import BackboneError, DataError
from cutpoint.types import TextPair, TextPreprocessing, Words

_NOISE_TOKENS, _LONGER_NOISE_TOKENS = 5, 7
_AT_ONCE = 256
"""Texts that a tokenizer is given together: it holds some hundred bytes a token until all are read."""


class TextInputs(Inputs):
    """Texts: int32 (3, tokens), and a batch int64 (B, 3, longest); see `cutpoint.backbones.tokens`.

    Args:
        preprocessing: The record that is carried out.
        tokenizer: The backbone's own.
        vocabulary: Token numbers that the network knows.
    """

    preprocessing: TextPreprocessing

    def __init__(self, preprocessing: TextPreprocessing, tokenizer: Any, vocabulary: int) -> None:
        self.preprocessing = preprocessing
        self.shape = None
        self.dtype = np.dtype(np.int32)
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self._writer = ScriptWriter(tokenizer)

    def prepare(self, source: Any) -> NDArray[Any]:
        """A text, pair, sentence of words, completion or chat, whichever the readout is for, as int32 (3, tokens).

        Raises:
            DataError: Another kind of input, or a chat that the template cannot render.
        """
        if isinstance(source, np.ndarray):  # tokens already, as packed documents are
            return source
        return self._tokens(source, self.preprocessing.max_length)

    def prepare_all(self, sources: Iterable[Any]) -> Iterator[NDArray[Any]]:
        """The same of many; a tokenizer that is given some running texts together works on all cores."""
        remaining, is_running = iter(sources), self.preprocessing.readout == "pooled"
        while some := list(islice(remaining, _AT_ONCE)):
            if is_running and all(isinstance(source, str) for source in some):
                yield from map(_unmarked, self._encode_all(some, limit=self.preprocessing.max_length))
            else:
                yield from map(self.prepare, some)

    def whole(self, source: Any) -> NDArray[np.int32]:
        """As `prepare`, with nothing cut off."""
        return self._tokens(source, None)

    def collate(self, prepared: Sequence[NDArray[Any]]) -> Tensor:
        """int64 (B, 3, longest)."""
        return pad(prepared)

    def pool(self, states: Tensor, batch: Tensor) -> Tensor:
        """States of a block as the readout takes them: (B, words, width), or (B, width) without padding."""
        if self.preprocessing.readout == "words":
            return words_of(states, batch)
        return pooled_states(self.preprocessing.pooling, states, batch)

    def noise(self, batch: int, seed: int = 0, *, longer: bool = False) -> Tensor:
        """int64 (B, 3, 5), or 7 tokens if longer; the last text is shorter than the others."""
        length = _LONGER_NOISE_TOKENS if longer else _NOISE_TOKENS
        tokens = np.zeros((batch, ROWS, length), dtype=np.int64)
        tokens[:, IDS] = np.random.default_rng(seed).choice(self._ordinary, (batch, length))
        tokens[:, MARKS] = self._noise_marks(length)
        tokens[-1, :, -2:] = np.array([[PADDING], [0], [NO_MARK]])
        return pad(list(tokens))

    def count_truncated(self, sources: Iterable[Any]) -> tuple[int, int]:
        """How many of the sources are longer than the limit, and the tokens of the longest one."""
        lengths = [self._tokens(source, None).shape[1] for source in sources]
        return sum(length > self.preprocessing.max_length for length in lengths), max(lengths, default=0)

    def encode_prompt(self, source: Any) -> NDArray[np.int64]:
        """int64 (tokens,): what the model is to go on from; of a chat all but the last answer.

        Raises:
            DataError: As `prepare`.
        """
        script = self._writer.prompt(source)
        ids = list(self._encode(script.text, special=script.special).ids)
        if script.special and len(ids) > 1 and ids[-1] == self.tokenizer.eos_token_id:
            ids.pop()
        return np.asarray(ids, dtype=np.int64)

    def decode(self, ids: Any) -> str:
        """The text of token numbers, special tokens left out."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    @functools.cached_property
    def end_ids(self) -> tuple[int, ...]:
        """Token numbers that end what is generated: the end of the text, and of the assistant's turn."""
        closing = self._writer.closing_token
        found = [self.tokenizer.eos_token_id]
        found += [self.tokenizer.convert_tokens_to_ids(closing)] if closing else []
        return tuple(dict.fromkeys(number for number in found if number is not None))

    def describe_mask(self, source: Any) -> list[tuple[str, bool]]:
        """The text in pieces, about one a token, and whether each is trained; what is cut off is left out."""
        ids, marks, ends, text = self._marked(source)
        pieces, done = [], 0
        for number, mark, end in list(zip(ids, marks, ends, strict=True))[: self.preprocessing.max_length]:
            added = end == 0
            piece = str(self.tokenizer.convert_ids_to_tokens(number)) if added else text[done:end]
            if piece:  # a character of several tokens stands at the first of them
                pieces.append((piece, mark > 0))
            done = max(done, end)
        return pieces

    def _tokens(self, source: Any, limit: int | None) -> NDArray[np.int32]:
        if self.preprocessing.readout == "language":
            return self._language(source, limit)
        if self.preprocessing.readout == "words":
            return self._words(source, limit)
        return self._text(source, limit)

    def _text(self, source: Any, limit: int | None) -> NDArray[np.int32]:
        if isinstance(source, str):
            encoding = self._encode(source, limit=limit)
        elif isinstance(source, TextPair):
            encoding = self._encode(*source, limit=limit)
        else:
            raise _unfit(source, "a text or a pair of texts")
        return _unmarked(encoding)

    def _words(self, source: Any, limit: int | None) -> NDArray[np.int32]:
        """Words as running text, so that every tokenizer sees them as it was trained; each marked at its first token.

        A word of characters that the tokenizer drops stands as the unknown token.
        """
        if not isinstance(source, Words):
            raise _unfit(source, "a sentence of words")
        words = list(source)
        encoding, marks = self._marked_words(words, None)
        lost = sorted(set(range(len(words))) - set(marks))
        if lost:
            stand_in = self.tokenizer.unk_token or self.tokenizer.eos_token or "?"
            for number in lost:
                words[number] = stand_in
            encoding, marks = self._marked_words(words, None)
        if limit is not None and len(marks) > limit:
            encoding, marks = self._marked_words(words, limit)
        return _stacked(encoding.ids, encoding.type_ids, marks)

    def _marked_words(self, words: Sequence[str], limit: int | None) -> tuple[Any, list[int]]:
        encoding = self._encode(" ".join(words), limit=limit)
        lengths = np.array([len(word) for word in words], dtype=np.int64)
        ends = np.cumsum(lengths + 1) - 1
        marks, done = [], -1
        for (start, end), special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True):
            word = int(
                np.searchsorted(ends, start, side="right")
            )  # the first that ends behind the token's start
            begins = end > start and not special and done < word < len(words)
            begins = begins and ends[word] - lengths[word] < end
            marks.append(word if begins else NO_MARK)
            done = word if begins else done
        return encoding, marks

    def _language(self, source: Any, limit: int | None) -> NDArray[np.int32]:
        ids, marks, _, _ = self._marked(source)
        return _stacked(ids, [0] * len(ids), marks)[:, :limit]

    def _marked(self, source: Any) -> tuple[list[int], list[int], list[int], str]:
        """Of each token the number, the mark and where it ends in the text (0 if it does not stand there); the text."""
        script = self._writer.script(source)
        encoding = self._encode(script.text, special=script.special)
        ids, ends = list(encoding.ids), [end for _, end in encoding.offsets]
        marks = [1 if _overlaps(script, *offset) else NO_MARK for offset in encoding.offsets]
        end_of_text = self.tokenizer.eos_token_id
        reaches_end = bool(script.trained) and script.trained[-1][1] == len(script.text)
        if script.ends_open and end_of_text is not None and ids[-1:] != [end_of_text]:
            ids, marks, ends = [*ids, end_of_text], [*marks, 1], [*ends, 0]
        elif reaches_end and ids[-1:] == [end_of_text]:
            marks[-1] = 1
        marks[:1] = [NO_MARK] * len(marks[:1])  # nothing stands before the first token to predict it from
        return ids, marks, ends, script.text

    def _encode(
        self, text: str, second: str | None = None, *, limit: int | None = None, special: bool = True
    ) -> Any:
        """The tokenizer's own answer; of a pair that is too long the longer text is cut first."""
        return self._encode_all([text], None if second is None else [second], limit=limit, special=special)[0]

    def _encode_all(
        self, texts: list[str], seconds: list[str] | None = None, *, limit: int | None, special: bool = True
    ) -> Sequence[Any]:
        batch = self.tokenizer(
            texts,
            seconds,
            add_special_tokens=special,
            truncation=limit is not None,
            max_length=limit,
            return_offsets_mapping=True,
            verbose=False,
        )
        encodings: Sequence[Any] = batch.encodings
        return encodings

    @functools.cached_property
    def _ordinary(self) -> NDArray[np.int64]:
        """Token numbers that are no special tokens."""
        known = np.arange(min(len(self.tokenizer), self.vocabulary))
        return np.setdiff1d(known, self.tokenizer.all_special_ids)

    def _noise_marks(self, length: int) -> NDArray[np.int64]:
        """Every second token begins a word; every token but the first is one to be predicted."""
        places = np.arange(length)
        if self.preprocessing.readout == "words":
            return np.where(places % 2 == 0, places // 2, NO_MARK)
        if self.preprocessing.readout == "language":
            return np.where(places > 0, 1, NO_MARK)
        return np.full(length, NO_MARK)


def load_tokenizer(place: Place) -> Any:
    """The tokenizer that lies beside the weights.

    Raises:
        BackboneError: There is none, or it does not say where in the text its tokens stand.
    """
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(place.name, local_files_only=place.files_only)
    except (OSError, ValueError, ImportError, KeyError, AttributeError) as error:
        raise _no_tokenizer(place, first_line(error)) from error
    if len(tokenizer) <= len(
        tokenizer.all_special_ids
    ):  # transformers makes an empty one where it finds no file
        raise _no_tokenizer(place, "it knows no tokens but the special ones")
    if not tokenizer.is_fast:
        raise _no_tokenizer(
            place, f"{type(tokenizer).__name__} does not say where in a text its tokens stand"
        )
    return tokenizer


def _no_tokenizer(place: Place, reason: str) -> BackboneError:
    return BackboneError(
        f"{place.name} comes without a usable tokenizer: {reason}.",
        "a folder needs tokenizer.json and tokenizer_config.json beside the weights (AutoTokenizer…save_pretrained)",
    )


def tokenizer_digest(tokenizer: Any) -> str:
    """xxh3-128 over all that decides which tokens a text becomes: the tokenizer and its chat template."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    digest = xxhash.xxh3_128(backend.to_str().encode())
    digest.update(f"\0{tokenizer.chat_template}\0{sorted(tokenizer.special_tokens_map.items())}".encode())
    return digest.hexdigest()


def _unmarked(encoding: Any) -> NDArray[np.int32]:
    return _stacked(encoding.ids, encoding.type_ids, [NO_MARK] * len(encoding.ids))


def _stacked(ids: Sequence[int], segments: Sequence[int], marks: Sequence[int]) -> NDArray[np.int32]:
    tokens = np.empty((ROWS, len(ids)), dtype=np.int32)
    tokens[IDS], tokens[SEGMENTS], tokens[MARKS] = ids, segments, marks
    return tokens


def _overlaps(script: Script, start: int, end: int) -> bool:
    return any(start < behind and first < end for first, behind in script.trained) and end > start


def _unfit(source: Any, wanted: str) -> DataError:
    return DataError(
        f"{type(source).__name__} was given where {wanted} is needed.",
        "the kind of task and the data must fit each other",
    )
