"""Imports torchvision in the peers' environment, where it is the same wheel as in Cutpoint's.

Cutpoint mends that import where the wheel's compiled operators do not fit torch. The peers are given the same remedy,
or none of them could be imported; import this module before timm, transformers, fastai or lightning.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "src"))

from cutpoint.backbones.torchvision_repair import import_torchvision

torchvision = import_torchvision()
