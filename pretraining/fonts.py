"""Fonts → a bank of clean glyph bitmaps with classes, built once and kept on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from characters import characters
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

SIDE = 48
"""Side of a bitmap of the bank in pixels; the glyph fills `_GLYPH` of them."""

_GLYPH = 40
_RENDER = 80
_FILES_PER_PACKAGE = 10
_LEAST_PACKAGES = 5
_SAME_SHAPE = 0.96
_SAME_SHARE = 0.55

HANDWRITTEN: tuple[str, ...] = (
    "fonts-breip",
    "fonts-bwht",
    "fonts-comic-neue",
    "fonts-dancingscript",
    "fonts-dkg-handwriting",
    "fonts-ecolier-court",
    "fonts-havana",
    "fonts-humor-sans",
    "fonts-joscelyn",
    "fonts-kaushanscript",
    "fonts-kiloji",
    "fonts-klee",
    "fonts-kristi",
    "fonts-levien-typoscript",
    "fonts-nanum",
    "fonts-rufscript",
    "fonts-seto",
    "fonts-sjfonts",
    "fonts-tomsontalks",
    "fonts-yozvox-yozfont-edu",
    "fonts-yusei-magic",
)
"""Packages that look written by hand; they are drawn more often."""

HELD_OUT: tuple[str, ...] = (
    "fonts-breip",
    "fonts-comic-neue",
    "fonts-jura",
    "fonts-karla",
    "fonts-klee",
    "fonts-oldstandard",
    "fonts-paratype",
    "fonts-sil-gentiumplus",
    "fonts-tomsontalks",
    "fonts-tuffy",
)
"""Packages that no weight is trained on: they validate."""

_NOTO_SCRIPTS = ("Armenian", "Georgian", "Hebrew", "Math", "Symbols")


@dataclass(frozen=True)
class Bank:
    """Clean bitmaps (N, 48, 48) uint8, 0 = paper, with the class and the package of each.

    `classes` holds the characters of each class: one, or several that look the same.
    """

    bitmaps: np.ndarray
    labels: np.ndarray
    packages: np.ndarray
    package_names: tuple[str, ...]
    classes: tuple[str, ...]


def font_files(folder: Path) -> dict[str, list[Path]]:
    """Package name → its font files, at most ten, spread evenly over the sorted names."""
    found: dict[str, list[Path]] = {}
    for package in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(
            path
            for path in package.rglob("*")
            if path.suffix.lower() in (".ttf", ".otf", ".ttc")
            and path.is_file()
            and _wanted(package.name, path.stem)
        )
        if len(files) > _FILES_PER_PACKAGE:
            chosen = np.linspace(0, len(files) - 1, _FILES_PER_PACKAGE).round().astype(int)
            files = [files[position] for position in chosen]
        if files:
            found[package.name] = files
    return found


def _wanted(package: str, stem: str) -> bool:
    """Leave out fonts turned by 90 degrees and the scripts of Noto that are no classes here."""
    if package == "fonts-noto-core":
        plain = stem.endswith(("-Regular", "-Bold")) and stem.startswith(("NotoSans", "NotoSerif"))
        return plain and any(script in stem for script in _NOTO_SCRIPTS)
    return "90" not in stem


def render(font: ImageFont.FreeTypeFont, character: str) -> np.ndarray | None:
    """One glyph, cropped to its ink, scaled to 40 pixels on its longer side and centred; None where blank."""
    canvas = Image.new("L", (_RENDER * 3, _RENDER * 3))
    ImageDraw.Draw(canvas).text((_RENDER, _RENDER // 2), character, fill=255, font=font)
    box = canvas.getbbox()
    if box is None or max(box[2] - box[0], box[3] - box[1]) < 4:
        return None
    glyph = canvas.crop(box)
    scale = _GLYPH / max(glyph.size)
    size = (max(1, round(glyph.width * scale)), max(1, round(glyph.height * scale)))
    picture = Image.new("L", (SIDE, SIDE))
    resized = glyph.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)
    picture.paste(resized, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return np.asarray(picture)


def _render_font(path: Path, wanted: tuple[str, ...]) -> dict[int, np.ndarray]:
    """Position in `wanted` → bitmap, for the characters that the font holds."""
    mapping = TTFont(path, fontNumber=0, lazy=True).getBestCmap() or {}
    font = ImageFont.truetype(str(path), _RENDER)
    missing = render(font, chr(0x10FFFD))
    glyphs = {}
    for position, character in enumerate(wanted):
        if ord(character) not in mapping:
            continue
        bitmap = render(font, character)
        if bitmap is not None and (missing is None or not np.array_equal(bitmap, missing)):
            glyphs[position] = bitmap
    return glyphs


def _coarse(bitmap: np.ndarray) -> np.ndarray:
    """A unit vector of the 16 × 16 means."""
    small = bitmap.reshape(16, 3, 16, 3).mean(axis=(1, 3)).ravel()
    return small / np.linalg.norm(small)


def _merge(fonts: list[dict[int, np.ndarray]], count: int) -> np.ndarray:
    """Class number of each character; characters drawn alike by most fonts share one (A, Α, А; c, C)."""
    shared = np.zeros((count, count))
    alike = np.zeros((count, count))
    for glyphs in fonts:
        positions = np.array(sorted(glyphs))
        vectors = np.stack([_coarse(glyphs[position]) for position in positions])
        shared[np.ix_(positions, positions)] += 1
        alike[np.ix_(positions, positions)] += vectors @ vectors.T > _SAME_SHAPE
    parent = np.arange(count)
    first, second = np.nonzero(np.triu((alike >= _SAME_SHARE * shared) & (shared >= 3), 1))
    for left, right in zip(first, second, strict=True):
        roots = parent[left], parent[right]
        parent[parent == max(roots)] = min(roots)
    return parent


def build(folder: Path) -> Bank:
    """Render every wanted character in every font of the folder's packages."""
    wanted = characters()
    packages = font_files(folder)
    names = tuple(packages)
    rendered = []
    for number, name in enumerate(names):
        for path in packages[name]:
            glyphs = _render_font(path, wanted)
            if glyphs:
                rendered.append((number, glyphs))
    first_of_package = {number: glyphs for number, glyphs in reversed(rendered)}
    group = _merge(list(first_of_package.values()), len(wanted))
    trained = {number for number, name in enumerate(names) if name not in HELD_OUT}
    support = [set[int]() for _ in wanted]
    for number, glyphs in rendered:
        for position in glyphs:
            support[group[position]].add(number)
    kept = [root for root in range(len(wanted)) if len(support[root] & trained) >= _LEAST_PACKAGES]
    label = {root: number for number, root in enumerate(kept)}
    rows = [
        (bitmap, label[group[position]], number)
        for number, glyphs in rendered
        for position, bitmap in glyphs.items()
        if group[position] in label
    ]
    classes = tuple("".join(wanted[i] for i in np.flatnonzero(group == root)) for root in kept)
    bitmaps, labels, owners = zip(*rows, strict=True)
    return Bank(np.stack(bitmaps), np.array(labels), np.array(owners), names, classes)


def load_or_build(folder: Path, cache: Path) -> Bank:
    """The bank from `cache` (.npz) where it is there, else built and stored."""
    if not cache.exists():
        bank = build(folder)
        lists = json.dumps({"packages": bank.package_names, "classes": bank.classes})
        np.savez(cache, bitmaps=bank.bitmaps, labels=bank.labels, packages=bank.packages, lists=lists)
    stored = np.load(cache)
    lists = json.loads(str(stored["lists"]))
    return Bank(
        stored["bitmaps"],
        stored["labels"],
        stored["packages"],
        tuple(lists["packages"]),
        tuple(lists["classes"]),
    )
