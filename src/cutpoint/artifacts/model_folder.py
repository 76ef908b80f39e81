"""A model as a folder: what it changed of its backbone, and enough to find the backbone again.

    cutpoint.json       task, head, cut, regime, preprocessing, backbone (with digest), scores
    model.safetensors   the head and every backbone tensor that differs from the pretrained one
    adapter/            where the regime injects one: a PEFT adapter
    README.md           the model card

A probe therefore stores kilobytes, a partial fine-tune its top blocks. The folder is written beside its place and
moved there whole.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import xxhash
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.folder import load_adapter, save_adapter
from cutpoint.adapters.inject import is_adapter_parameter
from cutpoint.adapters.quantise import copy_for
from cutpoint.artifacts.card import model_card
from cutpoint.artifacts.contract import (
    Parity,
    check_parity,
    check_preprocessing,
    measure_parity,
    preprocessing_digest,
)
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.inputs import use_channels_last
from cutpoint.backbones.load import load_reference
from cutpoint.backbones.signals import signal_backbone
from cutpoint.backbones.tfidf import from_preprocessing
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.backbones.vectors import STATISTICS_NAME, statistics_backbone, vector_backbone
from cutpoint.errors import ArtifactError
from cutpoint.heads.modules import Head, LinearHead, MLPHead, NoHead
from cutpoint.heads.trees import TreesHead
from cutpoint.model import Model, Network
from cutpoint.types import (
    BackboneReference,
    ImagePreprocessing,
    Preprocessing,
    Provenance,
    Record,
    SeenImages,
    SignalPreprocessing,
    Task,
    TfidfPreprocessing,
    VectorPreprocessing,
)

FORMAT_VERSION = 1
ADAPTER_FOLDER = "adapter"
FACTS_FILE = "cutpoint.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"


class HeadFacts(Record):
    """Shape of the head."""

    width: int
    outputs: int
    hidden: tuple[int, ...] = ()
    """Empty for a linear head, and for trees."""
    trees: tuple[int, int] | None = None
    """Trees for each output and leaves a tree, at most, where the head is boosted trees."""


class ModelFacts(Record):
    """What cutpoint.json holds."""

    format_version: int = FORMAT_VERSION
    task: Task
    regime: str
    cut: int
    head: HeadFacts
    backbone: BackboneReference
    preprocessing: Preprocessing
    preprocessing_digest: str | None = None
    """Shows whether the record above was edited."""
    parity: Parity | None = None
    """Answers to fixed inputs, which a loaded model must give again."""
    seen: SeenImages | None = None
    """What the training pictures look like, as prepared."""
    provenance: Provenance
    adapter: Adapter | None = None
    weights_checksum: str
    description: dict[str, Any] = Field(default_factory=dict)


def changed_tensors(model: Model) -> dict[str, Tensor]:
    """The head's tensors, and those of the backbone that differ from the pretrained ones.

    An adapter leaves the backbone's weights as they are, so that beside it only statistics of BatchNorm may differ.
    """
    tensors = {f"head.{name}": value for name, value in model.network.head.state_dict().items()}
    module, pretrained = model.network.backbone, model.backbone.module
    if module is not pretrained:
        known = pretrained.state_dict()
        own = module.state_dict() if model.adapter is None else dict(module.named_buffers())
        for name, value in own.items():
            if name in known and not torch.equal(value.cpu(), known[name].cpu()):
                tensors[f"backbone.{name}"] = value
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def stored_bytes(model: Model) -> int:
    """Bytes that the model stores beyond its backbone."""
    tensors = list(changed_tensors(model).values())
    if model.adapter is not None:
        own = model.network.backbone.named_parameters()
        tensors += [parameter for name, parameter in own if is_adapter_parameter(name)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def save_model(model: Model, folder: Path) -> Path:
    """Write the model folder, replacing an earlier one that was written by this function.

    Raises:
        ArtifactError: Something else stands in the place.
    """
    if folder.exists() and not (folder / FACTS_FILE).is_file():
        raise ArtifactError(
            f"{folder} exists and is not a model folder; it is left as it is.", "Choose another folder."
        )
    draft = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    save_file(changed_tensors(model), draft / WEIGHTS_FILE)
    if model.adapter is not None:
        reference = model.backbone.reference
        base = reference.path or reference.name.removeprefix("hf:")
        save_adapter(model.network.backbone, model.adapter, draft / ADAPTER_FOLDER, base)
    facts = ModelFacts(
        task=model.task,
        regime=model.regime,
        cut=model.cut,
        head=_head_facts(model.network.head),
        backbone=model.backbone.reference,
        preprocessing=model.backbone.preprocessing,
        preprocessing_digest=preprocessing_digest(model.backbone.preprocessing),
        parity=measure_parity(model) if _is_exact(model.adapter) else None,
        seen=model.seen,
        provenance=model.backbone.provenance,
        adapter=model.adapter,
        weights_checksum=_checksum(draft),
        description=model.description,
    )
    (draft / FACTS_FILE).write_text(facts.model_dump_json(indent=1), encoding="utf-8")
    card = model_card(
        facts.model_dump(mode="json"), sum(path.stat().st_size for path in draft.rglob("*.safetensors"))
    )
    (draft / CARD_FILE).write_text(card, encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    draft.rename(folder)
    return folder


def load_model(
    folder: Path, *, backbone: Backbone | None = None, backbone_path: str | Path | None = None
) -> Model:
    """Read a model folder.

    Args:
        folder: What `save_model` wrote.
        backbone: The backbone, where it was built in Python and no file holds it.
        backbone_path: Where the backbone's folder lies now, if it moved.

    Raises:
        ArtifactError: The folder is missing or damaged, the backbone moved or is another one, or inputs would be read
            otherwise than in training.
    """
    facts = _read_facts(folder)
    tensors = _read_weights(folder, facts)
    if backbone is None:
        backbone = _find_backbone(facts, backbone_path)
    elif backbone.reference.digest != facts.backbone.digest:
        raise ArtifactError(
            f"The backbone given has other weights than the one that {folder} was trained on.",
            "Give the backbone that the model was trained on.",
        )
    if isinstance(facts.preprocessing, ImagePreprocessing | VectorPreprocessing):
        backbone = backbone.with_decoding(facts.preprocessing.decoding)
    check_preprocessing(facts.preprocessing, facts.preprocessing_digest, backbone)
    use_channels_last(backbone.module)
    module = _with_changes(backbone, tensors)
    if facts.adapter is not None:
        import_torchvision()  # peft imports transformers
        module = copy_for(module, facts.adapter) if module is backbone.module else module
        load_adapter(module, folder / ADAPTER_FOLDER)
    head = _build_head(facts.head)
    head.load_state_dict(
        {name.removeprefix("head."): v for name, v in tensors.items() if name.startswith("head.")}
    )
    model = Model(
        backbone,
        Network(module, head),
        facts.task,
        facts.regime,
        facts.cut,
        facts.description,
        facts.adapter,
        facts.seen,
    )
    if facts.parity is not None:
        check_parity(model, facts.parity)
    return model


def _is_exact(adapter: Adapter | None) -> bool:
    """Whether machines agree on the answers: arithmetic in 4 bits they do each in their way."""
    return adapter is None or adapter.base == "full"


def _find_backbone(facts: ModelFacts, path: str | Path | None) -> Backbone:
    if facts.backbone.kind == "none":
        columns = facts.preprocessing.columns if isinstance(facts.preprocessing, VectorPreprocessing) else ()
        return vector_backbone(facts.head.width, columns)
    if facts.backbone.name == STATISTICS_NAME:
        return statistics_backbone()
    if isinstance(facts.preprocessing, SignalPreprocessing):
        return signal_backbone(facts.preprocessing)
    if isinstance(facts.preprocessing, TfidfPreprocessing):
        return from_preprocessing(facts.preprocessing)
    return load_reference(facts.backbone, path)


def _with_changes(backbone: Backbone, tensors: dict[str, Tensor]) -> nn.Module:
    """The backbone's module, or a copy with the stored tensors in place of the pretrained ones."""
    changes = {n.removeprefix("backbone."): t for n, t in tensors.items() if n.startswith("backbone.")}
    if not changes:
        return backbone.module
    module = backbone.rebuild()
    module.load_state_dict({**backbone.module.state_dict(), **changes})
    return use_channels_last(module)


def _head_facts(head: Head) -> HeadFacts:
    if isinstance(head, TreesHead):
        return HeadFacts(width=head.width, outputs=head.outputs, trees=(head.iterations, head.leaves))
    linears = [layer for layer in head.layers.modules() if isinstance(layer, nn.Linear)]
    return HeadFacts(
        width=head.width, outputs=head.outputs, hidden=tuple(layer.out_features for layer in linears[:-1])
    )


def _build_head(facts: HeadFacts) -> Head:
    if facts.outputs == 0:
        return NoHead()
    if facts.trees is not None:
        return TreesHead(facts.width, facts.outputs, *facts.trees)
    if not facts.hidden:
        return LinearHead(facts.width, facts.outputs)
    return MLPHead(facts.width, facts.outputs, facts.hidden)


def _read_facts(folder: Path) -> ModelFacts:
    path = folder / FACTS_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "A finished run keeps its model in RUN/model." if folder.is_dir() else "Check the path."
        raise ArtifactError(f"There is no model in {folder}.", hint) from error
    except ValueError as error:
        raise ArtifactError(f"{path} is not JSON.", "The file is damaged; make the model again.") from error
    if isinstance(content, dict) and content.get("format_version", 0) > FORMAT_VERSION:
        raise ArtifactError(f"{folder} was written by a newer Cutpoint.", "Upgrade cutpoint.")
    try:
        return ModelFacts.model_validate(content)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ArtifactError(f"{path} is damaged at {where}.", "Make the model again.") from error


def _read_weights(folder: Path, facts: ModelFacts) -> dict[str, Tensor]:
    path = folder / WEIGHTS_FILE
    try:
        if _checksum(folder) != facts.weights_checksum:
            raise ArtifactError(
                f"{path} is not what was saved.", "The file is damaged; make the model again."
            )
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}.", "Make the model again.") from error
    return tensors


def _checksum(folder: Path) -> str:
    """Of all weights in the folder, the adapter's too."""
    digest = xxhash.xxh3_128()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
