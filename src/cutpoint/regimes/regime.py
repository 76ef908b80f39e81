"""A regime is data: phases (what trains, how fast, how long) × objective × initialisation and head.

The training loop knows no regime by name; a new one is normally a row of `table.yaml` or a user's file.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cutpoint.adapters.adapter import Adapter
from cutpoint.types import Record

_Rate = Annotated[float, Field(ge=0)]
_Count = Annotated[int, Field(ge=1)]

Augmentation = Literal["none", "crop", "flip", "randaugment"]


class Phase(Record):
    """One stretch of training with a fixed partition into frozen and trainable parts."""

    train: int | str = "head"
    """What trains: "head" · "all" · "cut" (the trial's cut) · "adapter" (what the regime injects, and the head) · a
    number of frozen blocks · a block's name (it and all above) · a pattern over parameter names such as
    "*.attention.*"."""
    loss: Literal["supervised", "contrastive"] = "supervised"
    """What is minimised: the loss on the targets, or the contrast between examples of equal and of different classes,
    which shapes the features without a head (SetFit, Tunstall et al. 2022)."""
    solver: Literal["gradient", "exact", "boosting", "none"] = "gradient"
    """"exact" solves the convex head on frozen features, its regularisation chosen by cross-validation (a language
    model brings its head, and the phase falls away) · "boosting" grows the trees of head "trees" there, their number
    chosen likewise · "none" leaves everything as it is."""
    one_block_at_a_time: bool = False
    """Expand into one phase a block, unfreezing from the top down to `train` (Howard & Ruder 2018)."""
    until_plateau: bool = False
    """With `one_block_at_a_time`: stop unfreezing when a phase does not improve the validation loss."""
    refreeze: bool = False
    """Freeze the lowest trainable block again whenever the validation loss rises twice in a row."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    epochs: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    rate: _Rate | Literal["auto"] = "auto"
    """Learning rate of the topmost backbone block."""
    head_rate: _Rate | None = None
    """Rate of the head; None: as `rate`."""
    decay: float = Field(default=1.0, gt=0, le=1)
    """Rate of block l = rate · decay^(blocks above l): discriminative rates (Howard & Ruder 2018)."""
    rates: dict[str, _Rate] = Field(default_factory=dict)
    """Explicit rates for blocks by name prefix; "head" for the head. They win over `decay`."""
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of the phase's steps over which the rate rises linearly from zero."""
    batch_size: _Count | Literal["auto"] = "auto"
    micro_batch: _Count | None = None
    """Examples that pass at once, their gradients added up to the batch's; None: the whole batch. Where the memory
    does not suffice it is halved, and the batch stays what it is."""
    weight_decay: float = Field(default=0.01, ge=0)
    batchnorm: Literal["inference", "train", "sync"] = "inference"
    """"inference" keeps every BatchNorm layer on its running statistics, unfrozen blocks included."""
    augmentation: Augmentation = "none"
    mix: Literal["none", "mixup", "cutmix"] = "none"
    views: int = Field(default=0, ge=0)
    """Augmented views stored at the cut and used in turn; 0: augment afresh every epoch, caching nothing."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is then what is judged and kept."""
    patience: int | None = Field(default=None, ge=1)
    """Epochs without improvement before the phase ends; None: all epochs run."""

    @property
    def is_solved(self) -> bool:
        """Whether the head is found at once, without gradient steps."""
        return self.solver in ("exact", "boosting")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.solver != "gradient" and self.train != "head":
            raise ValueError(f'solver "{self.solver}" concerns the head alone: it needs train "head"')
        if self.solver == "gradient" and self.epochs == 0:
            raise ValueError("a phase without epochs trains nothing")
        if self.one_block_at_a_time and self.train == "head":
            raise ValueError('with train "head" there is no block to unfreeze: say "all" or "cut"')
        if self.until_plateau and not self.one_block_at_a_time:
            raise ValueError("until_plateau needs one_block_at_a_time")
        if self.micro_batch is not None and self.batchnorm != "inference":
            raise ValueError(
                "micro_batch needs batchnorm inference: statistics of parts are not those of the batch"
            )
        if self.micro_batch is not None and self.loss == "contrastive":
            raise ValueError(
                "the contrastive loss compares all pairs of a batch, and needs micro_batch left out"
            )
        if self.loss == "contrastive" and (self.train == "head" or self.mix != "none"):
            raise ValueError(
                "the contrastive loss shapes features by whole examples: it needs blocks to train, no mix"
            )
        return self


class Objective(Record):
    """What is minimised."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = "none"
    l2_sp: float = Field(default=0.0, ge=0)
    """Strength of the pull toward the pretrained weights (Li et al. 2018); 0: none."""


class Attributes(Record):
    """The field's common account of a regime, shown beside what was measured."""

    data: str = ""
    time: str = ""
    accuracy: str = ""
    risk: str = ""
    stored: str = ""
    best_for: str = ""


class Regime(Record):
    """How much of a backbone is trained, and how."""

    name: str = Field(pattern=r"^\w[\w .+-]*$")
    """How it is called: letters, digits, spaces and . + - _."""
    summary: str = ""
    init: Literal["pretrained", "random"] = "pretrained"
    adapter: Adapter | None = None
    """What is injected into the backbone, whose own weights then stay frozen."""
    checkpointing: bool = False
    """Compute the activations of blocks again when gradients flow back, instead of keeping them (Chen et al. 2016)."""
    head: Literal["linear", "mlp", "trees"] = "linear"
    """"trees" are gradient-boosted (Friedman 2001): for rows of numbers, which no pretrained backbone fits."""
    hidden: int = Field(default=256, ge=1)
    """Hidden units of an "mlp" head."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout in front of the head's last layer."""
    phases: tuple[Phase, ...] = Field(min_length=1)
    objective: Objective = Objective()
    keep: Literal["loss", "metric"] = "loss"
    """Which validation figure decides the weights that are kept; ties go to the earlier epoch."""
    attributes: Attributes = Attributes()

    @model_validator(mode="after")
    def _head_can_be_solved(self) -> Self:
        if self.head != "linear" and any(phase.solver == "exact" for phase in self.phases):
            raise ValueError(f'solver "exact" solves a linear head, not head "{self.head}"')
        if any((phase.solver == "boosting") != (self.head == "trees") for phase in self.phases):
            raise ValueError('head "trees" is grown by solver "boosting" alone, and only that head is')
        return self

    @model_validator(mode="after")
    def _adapter_trains(self) -> Self:
        trains = any(phase.train == "adapter" for phase in self.phases)
        if trains != (self.adapter is not None):
            raise ValueError(
                'a regime with an adapter has a phase with train "adapter", and only such a regime has one'
            )
        if self.adapter is not None and any(phase.train not in ("head", "adapter") for phase in self.phases):
            raise ValueError(
                'beside an adapter the backbone stays frozen: its phases train "head" or "adapter" alone'
            )
        return self

    @model_validator(mode="after")
    def _head_follows_contrast(self) -> Self:
        if self.phases[-1].loss == "contrastive":
            raise ValueError("the contrastive loss trains no head: let a phase follow that does")
        return self

    @model_validator(mode="after")
    def _has_a_starting_point(self) -> Self:
        if self.objective.l2_sp and self.adapter is not None:
            raise ValueError(
                "l2_sp pulls toward pretrained weights, and those of an adapter are not pretrained"
            )
        return self

    @property
    def trains_everything(self) -> bool:
        """Whether it fits every block of the pretrained network to the labels."""
        return self.init != "random" and any(
            phase.train == "all" and phase.loss == "supervised" for phase in self.phases
        )

    @property
    def needs_cut(self) -> bool:
        """Whether a cut has to be supplied by the user or proposed by the every-layer probe."""
        return any(phase.train == "cut" for phase in self.phases)

    @property
    def is_head_only(self) -> bool:
        """Whether the whole backbone stays frozen in every phase."""
        return all(phase.train == "head" for phase in self.phases)

    @property
    def is_exact(self) -> bool:
        """Whether nothing is trained by gradient steps."""
        return all(phase.solver != "gradient" for phase in self.phases)

    @property
    def starts_changed(self) -> bool:
        """Whether the blocks compute something else than the pretrained ones even before anything trains.

        LoRA, DoRA, IA3 and bottlenecks start as the identity; virtual tokens and a base in 4 bits do not, so that
        nothing may be read from caches.
        """
        adapter = self.adapter
        is_other = adapter is not None and (adapter.base != "full" or adapter.is_virtual)
        return is_other or self.init == "random"
