"""What a recipe says about trackers: a list of names, or a mapping with options."""

from typing import Literal, TypeAlias

from pydantic import BaseModel

from secateurs.recipes._section import STRICT

__all__ = ["MlflowOptions", "TensorBoardOptions", "TrackerName", "TrackersSection", "WandbOptions", "trackers_section"]

TrackerName: TypeAlias = Literal["tensorboard", "mlflow", "wandb"]


class TensorBoardOptions(BaseModel):
    """Event files in DIR/tensorboard."""

    model_config = STRICT


class MlflowOptions(BaseModel):
    """One MLflow run in an experiment named after the recipe."""

    model_config = STRICT
    uri: str | None = None
    """Where, such as `http://host:5000`; else MLFLOW_TRACKING_URI, else the SQLite file mlflow.db in the run
    directory (of the whole study, where there is one)."""
    experiment: str | None = None
    """Its experiment; the recipe's name where none is given."""


class WandbOptions(BaseModel):
    """One W&B run in a project named after the recipe, grouped by study."""

    model_config = STRICT
    project: str | None = None
    """Its project; the recipe's name where none is given."""
    entity: str | None = None
    """User or team; W&B's own default where none is given."""
    mode: Literal["online", "offline"] | None = None
    """Else WANDB_MODE, else online."""


class TrackersSection(BaseModel):
    """Each tracker that is asked for, with its options: `mlflow: {uri: ...}`, `tensorboard: {}`."""

    model_config = STRICT
    tensorboard: TensorBoardOptions | None = None
    mlflow: MlflowOptions | None = None
    wandb: WandbOptions | None = None

    @property
    def names(self) -> list[TrackerName]:
        """Those that are asked for."""
        asked: dict[TrackerName, BaseModel | None] = {
            "tensorboard": self.tensorboard,
            "mlflow": self.mlflow,
            "wandb": self.wandb,
        }
        return [name for name, options in asked.items() if options is not None]


def trackers_section(said: "tuple[TrackerName, ...] | TrackersSection") -> TrackersSection:
    """The long form of what a recipe says."""
    if isinstance(said, TrackersSection):
        return said
    return TrackersSection(
        tensorboard=TensorBoardOptions() if "tensorboard" in said else None,
        mlflow=MlflowOptions() if "mlflow" in said else None,
        wandb=WandbOptions() if "wandb" in said else None,
    )
