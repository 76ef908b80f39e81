"""Help, version, lists and reports: quick, and without heavy libraries."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

import cutpoint as package
from cutpoint.errors import CutpointError
from cutpoint.sizes import parse_size

_SCRIPT = "import sys; from cutpoint.cli.main import main; code = main(sys.argv[1:]); "
_HEAVY = "heavy = [n for n in ('torch', 'sklearn', 'scipy', 'timm', 'transformers') if n in sys.modules]; "


def _without(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own that fails where a heavy library was imported."""
    script = _SCRIPT + _HEAVY + "sys.exit(f'imported {heavy}' if heavy else code)"
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def _work_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_is_quick() -> None:
    """By processor seconds, which other work on the machine does not stretch; help runs on one thread."""

    def once() -> float:
        before = _work_of_children()
        subprocess.run([sys.executable, "-c", _SCRIPT, "--help"], check=True, stdout=subprocess.DEVNULL)
        return _work_of_children() - before

    once()
    assert median(once() for _ in range(5)) < 0.5


def test_help_and_version_import_nothing_heavy() -> None:
    for arguments in (("--help",), ("fit", "--help"), ("list", "--help")):
        ended = _without(*arguments)
        assert ended.returncode == 0, ended.stderr
    ended = _without("--version")
    assert ended.returncode == 0 and ended.stdout.strip() == f"cutpoint {package.__version__}"


def test_every_option_has_a_help_sentence() -> None:
    import typer.main

    from cutpoint.cli.main import application

    def commands(command):
        yield command
        for below in getattr(command, "commands", {}).values():
            yield from commands(below)

    checked = 0
    for command in commands(typer.main.get_command(application)):
        assert command.help, command.name
        for parameter in command.params:
            if parameter.name not in ("install_completion", "show_completion"):
                assert parameter.help and parameter.help.endswith("."), (command.name, parameter.name)
                checked += 1
    assert checked > 50


def test_report_is_rebuilt_without_torch(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    page = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    ended = _without("report", run)
    assert ended.returncode == 0, ended.stderr
    assert "linear-probe" in ended.stdout
    assert (run / "report.html").stat().st_size == pytest.approx(len(page), rel=0.01)
    ended = _without("report", run, "--json")
    assert json.loads(ended.stdout) == json.loads((run / "result.json").read_text())
    ended = _without("report", tmp_path / "absent")
    assert ended.returncode == 2 and "hint:" in ended.stderr


def test_list_regimes() -> None:
    ended = _without("list", "regimes")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("full-strong-augmentation ") for line in lines)
    assert any(line.split()[:2] == ["linear-probe", "itf"] for line in lines)
    ended = _without("list", "regimes", "--json")
    rows = {row["name"]: row for row in json.loads(ended.stdout)}
    assert rows["partial"]["auto"] == ["image", "text", "language"] and rows["preset-vision"]["auto"] == []
    assert [phase["train"] for phase in rows["full"]["phases"]] == ["head", "all"]


def test_list_backbones(cutpoint) -> None:
    ended = cutpoint("list", "backbones")
    assert ended.code == 0
    assert max(len(line) for line in ended.out.splitlines()) <= 100
    assert "resnet50.a1_in1k" in ended.out and "builtin:glyphs" in ended.out
    rows = {row["name"]: row for row in json.loads(cutpoint("list", "backbones", "--json").out)}
    assert rows["builtin:glyphs"]["reachable"] is True
    assert rows["BERT-base"]["reachable"] is False and rows["BERT-base"]["licence"] == "Apache-2.0"
    assert rows["ResNet-50"]["top1"] == 80.4 and rows["ResNet-50"]["for"] == "general"


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1024", 1024), ("500MB", 500_000_000), ("10 GB", 10**10), ("2GiB", 2 << 30), ("1.5k", 1500)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "ten GB", "-1GB", "5 apples"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(CutpointError):
        parse_size(text)
