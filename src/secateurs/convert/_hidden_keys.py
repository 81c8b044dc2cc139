"""The keys and flags of the neuron-pruning fork of hidden-networks."""

from secateurs.convert._key import Key

__all__ = ["KEYS"]


def _used(**keys: str) -> tuple[Key, ...]:
    return tuple(Key(name=name, here=here) for name, here in keys.items())


def _unused(**keys: str) -> tuple[Key, ...]:
    return tuple(Key(name=name, dropped=why) for name, why in keys.items())


_INITIAL = "networks begin as their papers say"
_SAVED = "every run keeps its files in its own directory"

KEYS = (
    *_used(
        exp_mode="stage: `train`, `scores` or `finetune`; all three where it is not said",
        arch="`model.name`",
        width_mult="`model.options.width`",
        set="`data.name`",
        name="`name`",
        optimizer="`optimizer`",
        lr="`lr`",
        lr_policy="`schedule`: `cosine`, `constant` or `step`",
        multistep_lr_adjust="`milestones`, its multiples",
        multistep_lr_gamma="`gamma`",
        warmup_length="`warmup_epochs`",
        epochs="`epochs`",
        momentum="`momentum`",
        weight_decay="`weight_decay`",
        nesterov="`nesterov`",
        label_smoothing="`label_smoothing`",
        batch_size="`batches.size`",
        seed="`seed`",
        resume="`model.weights`, and `model.masks` to fine-tune",
        pretrained="`model.weights`",
        evaluate="stage `measure` alone",
        multigpu="`devices`, their number",
        prune_rate="`mask.rate`",
        pmode="`mask.granularity`: `weight`, `kernel` or `channel`",
        pscale="`mask.scope`",
        rank_method="`mask.rank`",
        whether_abs="`mask.signed`, true unless it is `abs`",
        score_init="`score_init`: `kaiming`, `uniform` for `normal`, `normal` for `gaussian`",
        gp_warm_up="`mask_warmup_epochs`, in global scope",
        gp_warm_up_epochs="`mask_warmup_epochs`",
        prandom="stage `random_mask`",
        prlist="`mask.rates`",
        protect="`mask.protect`",
        shuffle="`data.shuffle_labels`, with `data.split_seed` from `seed`",
        first_layer_dense="`mask.rates: [0]`",
        last_layer_dense="`mask.protect: [linear_last]`",
        conv_type="stages: `DenseConv` trains weights alone",
    ),
    *_unused(
        config="this command takes the file as its first argument",
        data="pickled files are not read; `data.path` takes Parquet files or a folder of images",
        workers="images lie in memory, or are decoded by as many threads as there are cores",
        bn_type="norms keep their scales; the small networks have none",
        freeze_weights="stages `scores` freeze weights, the others do not",
        init=_INITIAL,
        scale_fan=_INITIAL,
        mode=_INITIAL,
        nonlinearity=_INITIAL,
        score_init_constant="`score_init` has no constant",
        num_classes="follows from the data",
        log_dir="runs go to `runs/NAME`, or where `secateurs run --out` says",
        save_every=_SAVED,
        print_freq="`metrics.jsonl` has every epoch",
        print_more="`run.json` has the rate of every layer",
        start_epoch="`secateurs run --resume` goes on where a run has stopped",
        low_data="`data.limit` takes fewer images",
        random_subnet="stage `random_mask` with `same_rates: true`",
        one_batch="`data.limit` takes fewer images",
        no_bn_decay="weight decay is for all parameters",
        first_layer_type="all layers are of one kind",
        trainer="there is one",
    ),
)
"""All of them."""
