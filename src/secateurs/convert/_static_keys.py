"""The keys of config.json of the framework that joins static (eigenbasis) and dynamic (gates) pruning."""

from secateurs.convert._key import Key

__all__ = ["KEYS"]


def _used(**keys: str) -> tuple[Key, ...]:
    return tuple(Key(name=name, here=here) for name, here in keys.items())


def _unused(**keys: str) -> tuple[Key, ...]:
    return tuple(Key(name=name, dropped=why) for name, why in keys.items())


_BASIS = "belongs to cuts in an eigenbasis; whole filters are cut by diagonal Fisher information"

KEYS = (
    *_used(
        network="`model.name`, with `depth`",
        depth="`model.name`: 32 is `resnet32x4`",
        data_dir="`data.name`, by its last folder",
        resize="`data.resize`, where it is not the images' own size",
        batch_size="`batches.size`",
        exp_name="`name`",
        prune_ratio="`remove: {units: ...}` of each cut",
        prune_ratio_limit="`floor`, which is 1 less it",
        max_iter="`repeat.times`, one less it",
        lr="`rates`",
        momentum="`momentum`",
        weight_decay="`weight_decay`",
        epochs_start="`epochs` after each cut",
        epochs_end="`epochs` of a last training, where they are more",
        scheduler_id="`schedule: list` for 1 (stairs)",
        scheduler_params="`rates`: fractions of the epochs, and factors of `lr`",
        seed="`seed`",
    ),
    *_unused(
        pruner_id=_BASIS,
        normalize=_BASIS,
        use_bias=_BASIS,
        allow_increase=_BASIS,
        regularization=_BASIS,
        ma=_BASIS,
        fisher_type=_BASIS,
        correct_eigenvalues=_BASIS,
        sua=_BASIS,
        use_full_cov_a=_BASIS,
        decomp_method=_BASIS,
        pool_momentum=_BASIS,
        back_ratio=_BASIS,
        interpolation="belongs to the training after directions come back",
        alpha="belongs to gates, which this file only passes on",
        img_type="images are read whatever their type",
        num_workers="images lie in memory, or are decoded by as many threads as there are cores",
        result_dir="runs go to `runs/NAME`, or where `secateurs run --out` says",
        log_interval="`metrics.jsonl` has every epoch",
    ),
)
"""All of them."""
