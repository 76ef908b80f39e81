"""The scale benchmark: its data are the same everywhere, no two rows alike, and it tells what more rows cost."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks/ stands beside the package

from benchmarks.made_up_data import CLASSES, write_images, write_texts
from benchmarks.scale import Measured, further_thousand, tables, write_page


def _measured(rows: int, cpu_seconds: float, peak: int = 500_000_000) -> Measured:
    return Measured("images", "train", rows, cpu_seconds, cpu_seconds, peak, peak // 2, 0.9)


def test_pictures_and_texts_are_drawn_again_alike_and_no_two_are_the_same(tmp_path: Path) -> None:
    first, second = (write_images(tmp_path / name, 40) for name in ("a", "b"))
    files = sorted(path.relative_to(first) for path in first.glob("*/*.png"))
    assert len(files) == 40 and len({path.parent for path in files}) == CLASSES
    contents = [(first / path).read_bytes() for path in files]
    assert contents == [(second / path).read_bytes() for path in files] and len(set(contents)) == 40
    assert np.asarray(Image.open(first / files[0])).shape == (32, 32)
    texts = [write_texts(tmp_path / f"{name}.csv", 200).read_text(encoding="utf-8") for name in "ab"]
    assert texts[0] == texts[1] and len(set(texts[0].splitlines())) == 201


def test_linear_cost_shows_as_one_figure_whatever_start_up_takes() -> None:
    found = [_measured(rows, 8 + 1e-3 * rows) for rows in (1_000, 3_000, 10_000, 30_000)]
    assert further_thousand(found) == pytest.approx([1.0, 1.0, 1.0])
    grown = [_measured(rows, 8 + 1e-6 * rows**2) for rows in (1_000, 3_000, 10_000)]
    assert further_thousand(grown) == pytest.approx([4.0, 13.0])


def test_the_page_gets_its_table_and_keeps_the_rest(tmp_path: Path) -> None:
    found = [_measured(1_000, 10.0), _measured(3_000, 12.0), _measured(10_000, 19.0, 510_000_000)]
    found.append(_measured(100_000, 109.0, 520_200_000))
    page = tmp_path / "concepts" / "scale.md"
    page.parent.mkdir()
    page.write_text("before <!-- scale table -->old<!-- end of scale table --> after", encoding="utf-8")
    write_page(found, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before ") and text.endswith(" after") and "old" not in text
    assert tables(found) in text and "+2 % from 10,000 to 100,000" in text
    assert (tmp_path / "images" / "scale.png").stat().st_size > 1000
