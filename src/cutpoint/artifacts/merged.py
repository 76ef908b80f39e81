"""A model whose adapter is folded into its backbone's weights: plain layers again, as fast as before."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.folder import load_adapter, save_adapter
from cutpoint.adapters.merge import merge
from cutpoint.errors import ArtifactError
from cutpoint.model import Model, Network


def merge_model(model: Model) -> Model:
    """The model without an adapter; the given one stays as it is.

    An adapter that was trained on a base in 4 bits is merged into the full-precision one, which is not quite what it
    was trained on: `change_of_scores` says what that does.

    Raises:
        ArtifactError: There is no adapter, or one that cannot be merged.
    """
    adapter = model.adapter
    if adapter is None:
        raise ArtifactError(
            f"The model was trained by {model.regime} and has no adapter that could be merged.",
            "Use it as it is: its weights are plain already.",
        )
    module = (
        _in_full_precision(model, adapter) if adapter.base == "nf4" else copy.deepcopy(model.network.backbone)
    )
    merge(module)
    head = copy.deepcopy(model.network.head)
    description = {**model.description, "Adapter": f"{adapter.kind}, merged into the weights"}
    return replace(model, network=Network(module, head), adapter=None, description=description)


def change_of_scores(one: Model, other: Model, inputs: Sequence[Any]) -> float:
    """The largest absolute difference between the scores of two models, in units of `Model.predict_scores`."""
    scores = one.predict_scores(inputs), other.predict_scores(inputs)
    return float(np.abs(scores[0] - scores[1]).max())


def _in_full_precision(model: Model, adapter: Adapter) -> nn.Module:
    """The adapter on the backbone as it came."""
    module = copy.deepcopy(model.backbone.module)
    with TemporaryDirectory() as folder:
        plain = adapter.model_copy(update={"base": "full"})
        save_adapter(model.network.backbone, plain, Path(folder), model.backbone.name)
        load_adapter(module, Path(folder))
    return module.to(model.device)
