"""What a study in levels leaves behind: the names of files and keys that reports read.

Levels count from 0: level 0 removes the first units, from the network as it was trained. The stage `levels` is written
out as three or four stages for each level,

    NN-level | NN-level_mask | NN-level_weights   scores units (or weights) and removes some
    NN-train                                      goes on from the weights as they are, with patience on validation
    NN-level_end                                  compares what is there with what was removed; writes the seed's files
    NN-measure                                    only where latency is asked for

Layers are called by the path of their module (`layer1.0.conv2`), units by their index in that layer of the *original*
network, whatever has been cut since.

`stages/NN-level*/metrics.json`, the same as `results` of the stage in run.json:

    level            int, from 0
    method           str: the criterion's name, or "random"
    choice           "low", "high", "hybrid" or "random"
    target_sparsity  float, percent: 5.0, 9.75, 14.26, ... as published
    sparsity         float, percent of all units that take part which are gone after this level (rounding up leads to
                     slightly more); of `level_weights`, percent of the weights that take part
    units            int, units that take part, as level 0 found them (weights for `level_weights`)
    asked_units      int, how many this level was to remove
    removed_count    int, how many it removed
    removed_units    {layer: [int, ...]}, removed by this level, ascending; every layer that takes part, also with [];
                     all empty for `level_weights`, which has
    removed_weights  {layer: int}, weights removed by this level (`level_weights` alone)
    layer_sizes      {layer: int}, units of the layer in the original network
    kept_units       {layer: int}, units left after this level (weights for `level_weights`)
    before, after    figures of the network before and right after the removal, as of every stage that cuts:
                     `after.test_accuracy` is the accuracy right after the cut, without retraining
    mean_unitmem     float or null, mean over all units scored, measured *before* this level's removal: level 0 is the
                     network as trained. Null where UnitMem was not measured
    by_layer         {layer: float}, the mean of each layer, as above; {} where it was not measured
    asked, removed, verified, axes   as of the stage `prune` (`level` alone)

The accuracy after retraining is `test_accuracy` in the results of the `train` stage that follows; of validation images,
`validation_accuracy`.

`stages/NN-level*/unitmem.safetensors`, where UnitMem was measured, before the level's removal; for each layer

    LAYER.values       float64 [units], between 0 and 1
    LAYER.images       int64 [units], the image with the highest activation: its index in the training data
    LAYER.units        int64 [units], original indices of the units scored, ascending
    LAYER.activations  float32 [images, units], mean over augmentations and places, on request
    indices            int64 [images], which training images were looked at; row i of activations is image indices[i]

`stages/NN-level*/unitmem_images.safetensors`, beside it: the pictures behind the highest values of each layer, which
reports show without the data at hand

    indices  int64 [n], ascending: index in the training data
    images   uint8 [n, C, H, W], at most 64 pixels wide and high

The seed's own files are in `exp__N` in the run's folder, N counting the `levels` stages of the recipe from 0:

    pruned_indices.json         {level: {layer: [unit, ...]}}, those that this level removed
    Avg_UnitMems_perlevel.json  {level: {layer: [[UnitMem, image index], ...]}}, place i is unit i of the original
                                layer; [0.0, -1] for a unit that was gone by then
    ckpts/pruned_retrained_model_LEVEL.safetensors
    All_activations.safetensors `LEVEL.LAYER` float32 [images, units], or All_activations.json
                                {level: {layer: [[activation, ...], ...]}}, on request
"""

__all__ = [
    "ACTIVATIONS",
    "CHECKPOINTS",
    "EXPERIMENT",
    "IMAGES_FILE",
    "LEVEL_TYPES",
    "PRUNED_FILE",
    "UNITMEMS_FILE",
    "UNITMEM_FILE",
]

UNITMEM_FILE = "unitmem.safetensors"
IMAGES_FILE = "unitmem_images.safetensors"
LEVEL_TYPES = ("level", "level_mask", "level_weights")
EXPERIMENT = "exp__"
PRUNED_FILE = "pruned_indices.json"
UNITMEMS_FILE = "Avg_UnitMems_perlevel.json"
CHECKPOINTS = "ckpts"
ACTIVATIONS = "All_activations"
