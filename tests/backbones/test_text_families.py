"""Families of text networks on tiny random configurations: order of blocks, cuts, padding, readouts, packing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone, load_reference
from cutpoint.backbones.order import uncovered_parameters
from cutpoint.backbones.tokens import MARKS, SEGMENTS, lengths_of
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import BackboneError
from cutpoint.features.cut import valid_cuts
from cutpoint.types import Readout, Words

import_torchvision()  # before the tests' own imports of transformers

LAYERS = 3
SIZES: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
GROUPED = {**SIZES, "num_key_value_heads": 1, "head_dim": 16}


def save_tokenizer(folder: Path, *, causal: bool) -> None:
    """One token a byte; for encoders with beginning and end, for language models with a beginning alone."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = {"[CLS]": 0, "[PAD]": 1, "[SEP]": 2, "[UNK]": 3}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = {letter: len(special) + number for number, letter in enumerate(alphabet)}
    backend = Tokenizer(models.BPE({**special, **letters}, [], unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    single, pair = (
        ("[CLS] $A", "[CLS] $A $B") if causal else ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
    )
    backend.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        bos_token="[CLS]",
        eos_token="[SEP]",
        **({} if causal else {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}),
    ).save_pretrained(folder)


def _bert() -> Any:
    import transformers as t

    return t.BertModel(t.BertConfig(**SIZES))


def _masked_bert() -> Any:
    """A published checkpoint holds the head of its pretraining too."""
    import transformers as t

    return t.BertForMaskedLM(t.BertConfig(**SIZES))


def _roberta() -> Any:
    import transformers as t

    return t.RobertaModel(t.RobertaConfig(**SIZES))


def _xlm_roberta() -> Any:
    import transformers as t

    return t.XLMRobertaModel(t.XLMRobertaConfig(**SIZES))


def _distilbert() -> Any:
    import transformers as t

    configuration = t.DistilBertConfig(
        vocab_size=300, dim=32, n_layers=LAYERS, n_heads=2, hidden_dim=48, pad_token_id=1
    )
    return t.DistilBertModel(configuration)


def _mpnet() -> Any:
    import transformers as t

    return t.MPNetModel(t.MPNetConfig(**SIZES))


def _deberta() -> Any:
    import transformers as t

    configuration = t.DebertaV2Config(
        **SIZES,
        relative_attention=True,
        position_buckets=8,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        type_vocab_size=0,
    )
    return t.DebertaV2Model(configuration)


def _modernbert() -> Any:
    import transformers as t

    configuration = t.ModernBertConfig(**SIZES, local_attention=4, global_attn_every_n_layers=2)
    return t.ModernBertModel(configuration)


def _electra() -> Any:
    import transformers as t

    return t.ElectraModel(t.ElectraConfig(**SIZES, embedding_size=16))


def _albert() -> Any:
    import transformers as t

    return t.AlbertModel(t.AlbertConfig(**SIZES, embedding_size=16))


def _llama() -> Any:
    import transformers as t

    return t.LlamaForCausalLM(t.LlamaConfig(**GROUPED))


def _tied_llama() -> Any:
    import transformers as t

    return t.LlamaForCausalLM(t.LlamaConfig(**GROUPED, tie_word_embeddings=True))


def _qwen2() -> Any:
    import transformers as t

    return t.Qwen2ForCausalLM(t.Qwen2Config(**GROUPED))


def _qwen3() -> Any:
    import transformers as t

    return t.Qwen3ForCausalLM(t.Qwen3Config(**GROUPED))


def _mistral() -> Any:
    import transformers as t

    return t.MistralForCausalLM(t.MistralConfig(**GROUPED, sliding_window=4))


def _gemma() -> Any:
    import transformers as t

    return t.GemmaForCausalLM(t.GemmaConfig(**GROUPED))


def _gemma2() -> Any:
    import transformers as t

    return t.Gemma2ForCausalLM(t.Gemma2Config(**GROUPED, sliding_window=4))


def _gemma3() -> Any:
    import transformers as t

    return t.Gemma3ForCausalLM(t.Gemma3TextConfig(**GROUPED, sliding_window=4))


def _gpt2() -> Any:
    import transformers as t

    configuration = t.GPT2Config(
        vocab_size=300, n_embd=32, n_layer=LAYERS, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=2
    )
    return t.GPT2LMHeadModel(configuration)


def _phi() -> Any:
    import transformers as t

    return t.PhiForCausalLM(t.PhiConfig(**SIZES))


def _phi3() -> Any:
    import transformers as t

    return t.Phi3ForCausalLM(t.Phi3Config(**{**SIZES, "num_key_value_heads": 1}))


def _neox() -> Any:
    import transformers as t

    return t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**SIZES))


ENCODERS = [
    _bert, _masked_bert, _roberta, _xlm_roberta, _distilbert, _mpnet, _deberta, _modernbert, _electra, _albert,
]  # fmt: skip
CAUSAL = [
    _llama, _tied_llama, _qwen2, _qwen3, _mistral, _gemma, _gemma2, _gemma3, _gpt2, _phi, _phi3, _neox,
]  # fmt: skip


@pytest.fixture(scope="module", params=ENCODERS + CAUSAL, ids=lambda make: make.__name__.strip("_"))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    make: Callable[[], Any] = request.param
    folder = tmp_path_factory.mktemp(make.__name__.strip("_"))
    make().eval().save_pretrained(folder)
    save_tokenizer(folder, causal=make in CAUSAL)
    return folder


def readouts(folder: Path) -> list[Readout]:
    causal = folder.name.rstrip("0123456789") in {
        make.__name__.strip("_").rstrip("0123456789") for make in CAUSAL
    }
    return ["pooled", "words", "language"] if causal else ["pooled", "words"]


def source(readout: Readout, text: str) -> Any:
    return Words(text.split()) if readout == "words" else text


def run(backbone: Backbone, *rows: Any) -> torch.Tensor:
    with torch.no_grad():
        output: torch.Tensor = backbone.module(backbone.inputs.collate(rows))
    return output


def test_blocks_stand_in_order_and_every_cut_recomposes(folder: Path) -> None:
    for readout in readouts(folder):
        backbone = load_backbone(folder, readout=readout, modality="text")
        names = [block.name for block in backbone.blocks]
        layers = [name for name in names if name.rpartition(".")[2].isdigit()]
        shared = folder.name.startswith("albert")  # one layer, run again and again: the last block
        assert [int(name.rpartition(".")[2]) for name in layers] == list(range(1 if shared else LAYERS)), (
            names
        )
        assert not names[0].rpartition(".")[2].isdigit() and names[1 : 1 + len(layers)] == layers
        assert len(names) <= len(layers) + 2
        assert uncovered_parameters(backbone) == ()
        report = valid_cuts(backbone)
        assert report.dropped == {} and len(report.valid) == len(names) + 1


def test_a_parameter_belongs_to_one_block(folder: Path) -> None:
    from cutpoint.backbones.order import block_parameters

    backbone = load_backbone(folder, readout=readouts(folder)[-1])
    held = [name for block in backbone.blocks for name in block_parameters(backbone.module, block)]
    assert sorted(held) == sorted(name for name, _ in backbone.module.named_parameters())


def test_padding_changes_nothing(folder: Path) -> None:
    for readout in readouts(folder):
        backbone = load_backbone(folder, readout=readout)
        texts = ("two dogs run", "the cat sat on a mat and saw two dogs run home", "cat")
        rows = [backbone.inputs.prepare(source(readout, text)) for text in texts]
        together = run(backbone, *rows)
        for number, row in enumerate(rows):
            alone = run(backbone, row)[0]
            torch.testing.assert_close(together[number][: len(alone)], alone, rtol=1e-4, atol=1e-5)
            if readout == "words":
                assert not together[number][len(alone) :].any()


def test_the_network_is_the_published_one(folder: Path) -> None:
    """Features equal those of AutoModel; keywords still call the original forward; a rebuilt one fits."""
    from transformers import AutoModel, AutoModelForCausalLM

    text = "the cat saw two dogs"
    for readout in readouts(folder):
        backbone = load_backbone(folder, readout=readout)
        kind = AutoModelForCausalLM if readout == "language" else AutoModel
        row = backbone.inputs.prepare(source(readout, text))
        ids = torch.from_numpy(row[:1].astype(np.int64))
        with torch.no_grad():
            output = kind.from_pretrained(folder).eval()(input_ids=ids)
            own = backbone.module(input_ids=ids)
        expected = output.logits if readout == "language" else output.last_hidden_state
        got = own.logits if readout == "language" else own.last_hidden_state
        torch.testing.assert_close(got, expected)
        if readout == "pooled":
            last = backbone.preprocessing.pooling == "last"
            expected = expected[:, -1] if last else expected.mean(1)
        if readout == "words":
            expected = expected[:, row[MARKS] >= 0]
        torch.testing.assert_close(run(backbone, row), expected, rtol=1e-5, atol=1e-6)
        assert backbone.width == expected.shape[-1]
        fresh = backbone.rebuild()
        fresh.load_state_dict(backbone.module.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(
                fresh(backbone.inputs.noise(2)), backbone.module(backbone.inputs.noise(2))
            )
        assert load_reference(backbone.reference).reference == backbone.reference


def test_packed_documents_do_not_see_each_other(folder: Path) -> None:
    if "language" not in readouts(folder):
        pytest.skip("an encoder")
    backbone = load_backbone(folder, readout="language")
    texts = ("the cat sat on a mat", "two dogs run home", "a cat")
    rows = [backbone.inputs.prepare(text) for text in texts]
    packed = np.concatenate(rows, axis=1)
    packed[SEGMENTS] = np.repeat(np.arange(3), [row.shape[1] for row in rows])
    together = run(backbone, packed, rows[1])
    apart = torch.cat([run(backbone, row)[0] for row in rows])
    torch.testing.assert_close(together[0], apart, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        together[1][: rows[1].shape[1]], run(backbone, rows[1])[0], rtol=1e-4, atol=1e-5
    )
    unmarked = packed.copy()
    unmarked[SEGMENTS] = 0
    assert not torch.allclose(run(backbone, unmarked)[0], apart, atol=1e-4), (
        "documents do attend when not kept apart"
    )


def test_a_network_that_cannot_keep_documents_apart_says_so(tmp_path: Path) -> None:
    import transformers as t

    configuration = t.BloomConfig(
        vocab_size=300, hidden_size=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=2, pad_token_id=1
    )
    torch.manual_seed(0)
    t.BloomForCausalLM(configuration).save_pretrained(tmp_path)
    save_tokenizer(tmp_path, causal=True)
    backbone = load_backbone(tmp_path, readout="language")
    row = backbone.inputs.prepare("two dogs run")
    run(backbone, row)
    packed = np.concatenate([row, row], axis=1)
    packed[SEGMENTS, row.shape[1] :] = 1
    with pytest.raises(BackboneError, match="does not keep documents apart"):
        run(backbone, packed)


def test_noise_has_the_shape_of_its_arguments_alone(folder: Path) -> None:
    inputs = load_backbone(folder).inputs
    assert inputs.prepare("two dogs").shape[1] >= len("two dogs")
    assert inputs.shape is None and inputs.noise(2).shape == (2, 3, 5) == inputs.noise(2, seed=1).shape
    assert inputs.noise(3, longer=True).shape == (3, 3, 7)
    assert not torch.equal(inputs.noise(2), inputs.noise(2, seed=1))
    assert torch.equal(inputs.noise(2, seed=1), inputs.noise(2, seed=1))
    assert lengths_of(inputs.noise(2)).tolist() == [5, 3]
