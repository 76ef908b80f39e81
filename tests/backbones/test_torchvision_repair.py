"""A torchvision whose operators do not load is repaired; a healthy one is left alone; others are reported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cutpoint.backbones import torchvision_repair
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import BackboneError

_MISMATCHED = """
import torch

@torch.library.register_fake("torchvision::nms")
def meta_nms(dets, scores, iou_threshold):
    return dets.new_empty(0)
"""
_SCRIPT = """
import sys
try:
    import torchvision
except RuntimeError as error:
    assert "operator torchvision::nms does not exist" in str(error), error
else:
    raise SystemExit("the planted torchvision is not broken")
from cutpoint.backbones.torchvision_repair import import_torchvision
module = import_torchvision()
assert module is sys.modules["torchvision"] and module.mark == 7
assert import_torchvision() is module
"""


def test_a_mismatched_torchvision_is_repaired(tmp_path: Path) -> None:
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("from torchvision import _meta_registrations\nmark = 7\n")
    (package / "_meta_registrations.py").write_text(_MISMATCHED)
    source = str(Path(torchvision_repair.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), source])}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_installed_torchvision_and_timm_work_after_the_repair() -> None:
    transforms = import_torchvision().transforms
    import timm

    assert transforms.Resize(8).size == 8 and timm.is_model("resnet18")


def test_a_healthy_torchvision_is_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = ModuleType("torchvision")
    monkeypatch.setattr(torchvision_repair.importlib, "import_module", lambda _: healthy)
    monkeypatch.setattr(torchvision_repair, "_declare_operators", lambda: pytest.fail("repaired"))
    monkeypatch.setattr(torchvision_repair, "_forget_half_imported", lambda: pytest.fail("unloaded"))
    assert import_torchvision() is healthy


@pytest.mark.parametrize("error", [ImportError("No module named 'torchvision'"), RuntimeError("no CUDA")])
def test_other_faults_are_reported_with_a_hint(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: str) -> ModuleType:
        raise error

    monkeypatch.setattr(torchvision_repair.importlib, "import_module", fail)
    with pytest.raises(BackboneError, match="torchvision cannot be imported") as caught:
        import_torchvision()
    assert "install" in caught.value.hint
