"""Where a cut falls that is given by number, by name or by pattern."""

from __future__ import annotations

import fnmatch
from difflib import get_close_matches

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.order import at_or_below, block_parameters
from cutpoint.errors import BackboneError


def cut_position(backbone: Backbone, spec: int | str) -> int:
    """Number of frozen blocks that a cut means.

    Args:
        backbone: What is cut.
        spec: A number of frozen blocks; the name of the first block that trains, or of a module that holds it
            ("layer4"); or a pattern over parameter names ("*.attention.*"), whose first match trains.

    Raises:
        BackboneError: Nothing fits; the hint lists the blocks.
    """
    position = _numbered(backbone, spec)
    if position is not None:
        return position
    for position, block in enumerate(backbone.blocks):
        if any(at_or_below(path, str(spec)) for path in (block.name, *block.members)):
            return position
    for position, block in enumerate(backbone.blocks):
        if fnmatch.filter(block_parameters(backbone.module, block), str(spec)):
            return position
    names = [block.name for block in backbone.blocks]
    near = get_close_matches(str(spec), names, n=1)
    raise BackboneError(
        f"{backbone.name} has no cut {spec!r}.",
        (f"did you mean {near[0]}? " if near else "")
        + f"a number from 0 to {len(names)}, a pattern over parameter names, or a block: {', '.join(names)}",
    )


def _numbered(backbone: Backbone, spec: int | str) -> int | None:
    """The number that a specification is; a block that is called like a number comes first."""
    if isinstance(spec, str) and (not spec.isdigit() or spec in [block.name for block in backbone.blocks]):
        return None
    return int(spec) if 0 <= int(spec) <= len(backbone.blocks) else None
