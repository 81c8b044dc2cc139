"""The keys of ADaPT's config file, and of the section `pruner` that its later library has."""

from secateurs.convert._key import Key

__all__ = ["KEYS", "LIBRARY_KEYS", "MODES"]

MODES = (
    "Get_Gops",
    "Unpruned_Test_Acc",
    "Pruned_Test_Acc",
    "No_Finetune_Channels_Pruned",
    "Prune_Filters",
    "Binary_Search",
    "Entropy",
    "FBS_Pruning",
    "Evaluate",
)
"""Switches, top down: the first that is true wins. None: plain training."""


def _section(section: str, **keys: str) -> tuple[Key, ...]:
    """Keys by name; what begins with a dash is dropped for the reason that follows."""
    return tuple(
        Key(section=section, name=name, dropped=said[1:].strip())
        if said.startswith("-")
        else Key(section=section, name=name, here=said)
        for name, said in keys.items()
    )


_DATA = _section(
    "dataset",
    Dataset="`data.name`",
    Dataset_Location="- pickled files are not read; `data.path` takes Parquet files or a folder of images",
)
_NET = _section(
    "cnn",
    Architecture="`model.name`",
    Depth="`model.name` of a resnet; other networks have one depth",
    Cardinality="- no network of the tool's pages has it",
    Widen_Factor="- no network of the tool's pages has it; `model.options.width` scales all widths",
    Growth_Rate="- no network of the tool's pages has it",
    Compression_Rate="- no network of the tool's pages has it",
)
_TRAINING = _section(
    "training_hyperparameters",
    Print_Only="- every run keeps its files in its own directory",
    Total_Epochs="`epochs` of plain training",
    Train_Batch="`batches.size`",
    Test_Batch="`batches.size` where nothing is trained, `minibatch` of stage `gops`",
    Learning_Rate="`train.lr`, unless `LR_Schedule` begins with epoch 0",
    Dropout_Ratio="- the networks here have no dropout",
    Gamma="`train.gamma`",
    Momentum="`train.momentum`, unless `Momentum_Schedule` says it",
    Weight_Decay="`train.weight_decay`",
    Momentum_Schedule="`train.momentum`, from its first pair; momentum stays the same here",
    LR_Schedule="`train.schedule: list`, `train.rates`",
    Train_Val_Split="`data.validation_ratio`, which is 1 less it",
    Optimiser="`train.optimizer`",
    LR_Scheduler="`train.schedule`; `step` with `Step_Size`",
    Step_Size="`train.milestones`, its multiples",
)
_PRUNING = _section(
    "pruning_hyperparameters",
    Sub_Name="`data.classes`, where it is a subset of the paper; names the recipe",
    Sub_Classes="`data.classes`; none for all",
    Logs="- each run has its own files; `secateurs runs --subsets` prints such a log of them",
    Get_Gops="mode: stage `gops`",
    Inference_Gops="`minibatch` of stage `gops`, that of testing or of training; its file has both counts",
    Unpruned_Test_Acc="mode: stage `measure`",
    Pruned_Test_Acc="mode: stage `measure` of weights that a run on `Trained_On` has left",
    Trained_On="`model.weights: runs/NETWORK-SUBSET-PERCENT`",
    No_Finetune_Channels_Pruned="mode: stage `channels` with `models: true`",
    Prune_Filters="mode: stage `finetune_prune`, or `prune`",
    Finetune="stage `finetune_prune`; false: `prune` without training before",
    Static="`when`: `static`, or `adaptive` where it is false",
    Retrain="stages `prune`, `reinitialise`, `train`; false: `prune` alone",
    Pruning_Perc="`remove: {params: ...}`, a hundredth of it",
    Finetune_Budget="`finetune_budget`, `epochs` where it trains from scratch",
    Prune_After="`prune_after`, `epochs` before a search",
    Binary_Search="mode: stage `search`",
    Metric="`cut.criterion: mean_magnitude`, for `weights` and `filters`",
    Prune_Weights="- no mode of the tool's pages removes single weights; stages `scores` and `random_mask` mask them",
    This_Layer_Up="- layers are spared by name: `cut.protect`",
    Iterative_Pruning_Increment="- no mode reads it; a stage `repeat` prunes step by step",
    Iterative_Pruning_Epochs="- no mode reads it; a stage `repeat` prunes step by step",
    FBS_Pruning="mode without a counterpart, refused",
    FBS_Finetune="- belongs to `FBS_Pruning`",
    Unpruned_Ratio="- belongs to `FBS_Pruning`",
    Unpruned_LB="- belongs to `FBS_Pruning`",
    Batch_Lim="- belongs to `FBS_Pruning`",
    Channels_Pruned="- stage `prune` keeps what it removed in `channels.json`",
    LogDir="- each run has its own files",
    LogFiles="- each run has its own files",
    Prune_Type="- no mode reads it",
)
_ENTROPY = _section(
    "entropy_hyperparameters",
    Entropy="mode without a counterpart, refused",
    Channels="- belongs to `Entropy`",
    Num_Batches="- belongs to `Entropy`",
    Layers="- belongs to `Entropy`",
    Entropy_Local_Pruning="- belongs to `Entropy`",
    Entropy_Global_Pruning="- belongs to `Entropy`",
)
_MACHINE = _section(
    "pytorch_parameters",
    Manual_Seed="`seed`; below 0: 0",
    Data_Loading_Workers="- images lie in memory, or are decoded by as many threads as there are cores",
    GPU_ID="- `device: auto` takes the GPU; `device=cuda:1` says which",
    Checkpoint_Path="- runs go to `runs/NAME`, or where `secateurs run --out` says",
    Test_Name="- the recipe is named after network, subset and percent",
    Pretrained="`model.weights`, as a safetensors file",
    Resume="- `secateurs run --resume` goes on with a run",
    Branch="- copy a run's directory to go on with it in two ways",
    Evaluate="mode: stage `measure`",
    Tee_Printing="- `metrics.jsonl` has every epoch",
    Enable_TBX="- `trackers: [tensorboard]`",
    TBX_Name="- `trackers: [tensorboard]`",
)
_LIBRARY = _section(
    "pruner",
    Project_Dir="- runs go to `runs/NAME`, or where `secateurs run --out` says",
    Model_Path="`model.weights`, as a safetensors file",
    Subset_Name="names the recipe; `data.classes`, where it is a subset of the paper",
    Mode="`criterion: mean_magnitude` for `l1-norm`, `choice: random` for `random`",
    Pruning_Perc="`remove: {params: ...}`; of several, a variant for each",
    Prune_Layers="- layers are spared by name: `protect`",
)

_COMMON = (*_DATA, *_NET, *_TRAINING, *_MACHINE)

KEYS = (*_COMMON, *_PRUNING, *_ENTROPY)
"""Those of the tool."""

LIBRARY_KEYS = (*_COMMON, *_LIBRARY)
"""Those of the library."""
