"""Does the glyph network transfer? Linear probes on scikit-learn's bundled handwritten digits.

    python pretraining/digits.py [--weights FILE] [--seeds 10] [--choosing]

Three kinds of features, one and the same probe (logistic regression on standardised features): raw pixels,
the network with random weights, the pretrained network. Labelled rows are drawn from the first half of the
bundle (rows 0 to 897); the probes are scored on the second half, on which no choice of the recipe was made.
With --choosing everything stays inside the first half.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from glyphs import normalise
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cutpoint.backbones.glyphs.network as embedded

HALF = 898
"""Rows before this one lend labels (and may be looked at while choosing); the others score."""


def pictures() -> tuple[torch.Tensor, np.ndarray]:
    """The scans as the network's input (1797, 1, 32, 32) in 0…1, and their digits."""
    bundle = load_digits()
    grey = np.round(bundle.images * (255 / 16)).astype(np.uint8)
    enlarged = [Image.fromarray(scan).resize((32, 32), Image.Resampling.BILINEAR) for scan in grey]
    return torch.from_numpy(np.stack(enlarged))[:, None].float() / 255, bundle.target


@torch.no_grad()
def features(network: torch.nn.Module, inputs: torch.Tensor) -> np.ndarray:
    """Pooled features (N, 192) in inference mode."""
    network.eval()
    return torch.cat([network(part) for part in inputs.split(256)]).numpy()


def untrained(seed: int) -> torch.nn.Module:
    """The same network with random weights."""
    torch.manual_seed(seed)
    return embedded.GlyphNetwork()


def accuracy(columns: np.ndarray, digits: np.ndarray, per_class: int, seed: int, scored: slice) -> float:
    """Accuracy of a probe with `per_class` labels for each digit."""
    generator = np.random.default_rng(seed)
    lent = np.arange(HALF)
    if scored.stop == HALF:
        lent = lent[: HALF // 2]
    rows = np.concatenate(
        [generator.choice(lent[digits[lent] == digit], per_class, replace=False) for digit in range(10)]
    )
    probe = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=np.logspace(-4, 1, 6),
            cv=5,
            l1_ratios=(0,),
            scoring="neg_log_loss",
            use_legacy_attributes=False,
            max_iter=2000,
        ),
    )
    probe.fit(columns[rows], digits[rows])
    return float(np.mean(probe.predict(columns[scored]) == digits[scored]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(embedded.__file__).with_name("weights.safetensors")
    parser.add_argument("--weights", type=Path, default=default)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--choosing", action="store_true", help="stay inside the first half")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    scans, digits = pictures()
    inputs = normalise(scans)
    pretrained = embedded.GlyphNetwork()
    pretrained.load_state_dict(load_file(arguments.weights))
    learned = features(pretrained, inputs)
    scored = slice(HALF // 2, HALF) if arguments.choosing else slice(HALF, len(digits))
    raw = load_digits().data
    for per_class in (10, 20):
        table = {"raw pixels": [], "random network": [], "pretrained network": []}
        for seed in range(arguments.seeds):
            columns = (raw, features(untrained(seed), inputs), learned)
            for name, values in zip(table, columns, strict=True):
                table[name].append(accuracy(values, digits, per_class, seed, scored))
        for name, scores in table.items():
            print(f"{per_class} per class  {name:20s} {np.mean(scores):.4f} ± {np.std(scores, ddof=1):.4f}")


if __name__ == "__main__":
    main()
