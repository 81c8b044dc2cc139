"""The keys of config.json of the framework that joins static (eigenbasis) and dynamic (gates) pruning."""

from secateurs.convert._key import Key

__all__ = ["KEYS"]


def _used(**keys: str) -> tuple[Key, ...]:
    return tuple(Key(name=name, here=here) for name, here in keys.items())


def _unused(**keys: str) -> tuple[Key, ...]:
    return tuple(Key(name=name, dropped=why) for name, why in keys.items())


_POOL = "directions that are gone do not come back here"

KEYS = (
    *_used(
        network="`model.name`, with `depth`",
        depth="`model.name`: 32 is `resnet32x4`",
        data_dir="`data.name`, by its last folder",
        resize="`data.resize`, where it is not the images' own size",
        batch_size="`batches.size`",
        exp_name="`name`",
        prune_ratio="`remove: {units: ...}` of each cut",
        prune_ratio_limit="`limit`",
        normalize="`normalize`",
        fisher_type="`fisher`",
        sua="`inputs`: `channel` where it is true, else `patch`",
        use_full_cov_a="`inputs: patch`, always whole",
        ma="`decay`",
        regularization="`damping`",
        correct_eigenvalues="`ekfac`, over all images",
        decomp_method="`method`: `directions` for usual, or `tucker`",
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
        pruner_id="there is one pruner, stage `eigen`",
        use_bias="biases stay as they are, behind the bottleneck",
        allow_increase="a layer becomes a bottleneck only where that is cheaper",
        pool_momentum=_POOL,
        back_ratio=_POOL,
        interpolation=_POOL,
        alpha="belongs to gates: recipe `static_dynamic` trains with them, and stage `gates` calls it `penalty`",
        img_type="images are read whatever their type",
        num_workers="images lie in memory, or are decoded by as many threads as there are cores",
        result_dir="runs go to `runs/NAME`, or where `secateurs run --out` says",
        log_interval="`metrics.jsonl` has every epoch",
    ),
)
"""All of them."""
