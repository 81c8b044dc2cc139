"""Which gates a stage puts into the network, and what their decisions are worth."""

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from secateurs.dynamic import Baseline, HeadKind, gate, gated_cost, gates_of
from secateurs.recipes._section import STRICT, Count
from secateurs.recipes._seeds import stage_seed
from secateurs.recipes.stages._base import Step

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["GateOptions", "RewardOptions"]


class GateOptions(BaseModel):
    """What gates are like; a network that has gates keeps them as they are."""

    model_config = STRICT
    head: HeadKind = "rnn"
    """`rnn`, one LSTM that steps over all blocks; `ff1`, two convolutions for each block; `ff2`, one (`gate_type`)."""
    blocks: tuple[str, ...] | None = None
    """Patterns of the blocks with gates; all residual blocks if left out."""
    first: bool = False
    """The first block has a gate too."""
    size: Count = 10
    """Of the recurrent gate's state (`embed_dim`, `hidden_dim`)."""
    bias: float = 2.0
    """Of every gate's logit at first: at 2 all blocks run, with a chance of 88 %."""
    costs: Literal["macs", "equal"] = "equal"
    """What a block counts in penalty and reward: as much as any other, or its share of the multiply-adds."""

    def put_in(self, session: "Session", step: Step) -> None:
        """Gates into the network of the run, if it has none."""
        if not gates_of(session.model):
            session.model = gate(
                session.model,
                (session.example(),),
                head=self.head,
                blocks=self.blocks,
                first=self.first,
                size=self.size,
                bias=self.bias,
                seed=stage_seed(session.recipe.seed, step.index),
                inplace=True,
            )

    def shares(self, session: "Session") -> tuple[float, ...] | None:
        """Of the blocks' cost; None for equal ones."""
        return gated_cost(session.model, (session.example(),)).shares if self.costs == "macs" else None


class RewardOptions(BaseModel):
    """What decisions are worth."""

    model_config = STRICT
    alpha: float = Field(default=0.1, ge=0)
    """Reward for leaving out all blocks (`--alpha`)."""
    gamma: float = Field(default=1.0, ge=0, le=1)
    """Discount of returns from gate to gate (`--gamma`)."""
    beta: float = Field(default=1.0, ge=0)
    """Scale of the terminal reward, minus the image's cross-entropy (`--beta`)."""
    rl_weight: float = Field(default=0.01, ge=0)
    """Of the policy gradient in the loss (`--rl-weight`)."""
    baseline: Baseline = "none"
    """Taken from returns: nothing, or the mean return of the batch's other images."""
