"""What is put into a frozen network so that few parameters learn much: as written, before any network is seen."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cutpoint.types import Record

AdapterKind = Literal["lora", "dora", "ia3", "bottleneck", "prefix", "prompt"]

_LOW_RANK = frozenset({"rank", "alpha", "rank_stabilised", "dropout", "targets"})
_READ: dict[str, frozenset[str]] = {
    "lora": _LOW_RANK,
    "dora": _LOW_RANK,
    "ia3": frozenset({"targets"}),
    "bottleneck": frozenset({"rank", "targets"}),
    "prefix": frozenset({"rank"}),
    "prompt": frozenset({"rank"}),
}
"""Kind → the settings that it reads, beside `kind` and `base`."""


class Adapter(Record):
    """An adapter, as written in a regime.

    A setting that the kind does not read must stay at its default: it would promise something that never happens.
    """

    kind: AdapterKind
    """lora: a low-rank update beside a layer (Hu et al., 2021) · dora: the same with the direction and the length
    of each column apart (Liu et al., 2024) · ia3: one factor per channel (Liu et al., 2022) · bottleneck: a small
    network behind attention and feed-forward (Houlsby et al., 2019) · prefix: learned keys and values in every
    layer (Li and Liang, 2021) · prompt: learned embeddings in front of the text (Lester et al., 2021)."""
    rank: Annotated[int, Field(gt=0)] | Literal["auto"] = 16
    """Rank of LoRA and DoRA, hidden width of a bottleneck, number of virtual tokens of prefix and prompt; "auto"
    lets short runs choose it (LoRA and DoRA)."""
    alpha: float | None = Field(default=None, gt=0)
    """LoRA's update is scaled by alpha / rank; None: alpha is twice the rank."""
    rank_stabilised: bool = False
    """Scale by alpha / √rank instead (rsLoRA: Kalajdzievski, 2023)."""
    dropout: float = Field(default=0.05, ge=0, lt=1)
    """In front of LoRA's update, in training only."""
    targets: Literal["auto", "all-linear"] | tuple[str, ...] = "auto"
    """Which layers: as fits the architecture, every linear one, or ends of module paths such as "q_proj"."""
    base: Literal["full", "nf4"] = "full"
    """"nf4" holds the frozen linear layers in 4 bits (QLoRA: Dettmers et al., 2023)."""

    @model_validator(mode="after")
    def _reads_what_is_set(self) -> Adapter:
        for name, field in type(self).model_fields.items():
            unread = name not in _READ[self.kind] | {"kind", "base"}
            if unread and getattr(self, name) != field.default:
                raise ValueError(f"an adapter of kind {self.kind!r} does not read {name!r}: leave it out")
        return self

    @property
    def is_virtual(self) -> bool:
        """Whether it takes up positions in front of the text instead of changing a layer."""
        return self.kind in ("prefix", "prompt")

    @property
    def size(self) -> int:
        """The rank as a number.

        Raises:
            ValueError: It is still "auto".
        """
        if self.rank == "auto":
            raise ValueError(
                "the rank of the adapter is still 'auto': it must be a number before it is built"
            )
        return self.rank

    @property
    def scale(self) -> float:
        """Alpha as a number."""
        return 2.0 * self.size if self.alpha is None else self.alpha
