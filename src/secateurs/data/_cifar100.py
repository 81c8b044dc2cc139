"""What is known of CIFAR-100 (Krizhevsky, 2009): its super-classes, and subsets of these that studies are about."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["CLASSES", "SUBSETS", "SUPERCLASSES"]

SUPERCLASSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
        "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
        "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
        "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
        "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
        "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
        "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
        "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
        "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
        "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
        "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
        "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
        "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
        "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
        "people": ("baby", "boy", "girl", "man", "woman"),
        "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
        "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
        "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
        "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
        "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
    }
)
"""Coarse labels, in the order of their numbers, and the fine ones in each."""

CLASSES: tuple[str, ...] = tuple(sorted(name for names in SUPERCLASSES.values() for name in names))
"""Fine labels in the order of their numbers."""

_OUTDOOR = (
    "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes",
    "vehicles_1",
    "vehicles_2",
    "trees",
    "small_mammals",
    "people",
)

SUBSETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "aquatic": ("aquatic_mammals", "fish"),
        "indoors": ("food_containers", "household_electrical_devices", "household_furniture"),
        "outdoor": _OUTDOOR,
        "subset1": _OUTDOOR,
        "natural": (
            "flowers",
            "fruit_and_vegetables",
            "insects",
            "large_omnivores_and_herbivores",
            "medium_mammals",
            "non-insect_invertebrates",
            "small_mammals",
            "reptiles",
        ),
        "random1": (
            "aquatic_mammals",
            "fish",
            "flowers",
            "fruit_and_vegetables",
            "household_furniture",
            "large_man-made_outdoor_things",
            "large_omnivores_and_herbivores",
            "medium_mammals",
            "non-insect_invertebrates",
            "people",
            "reptiles",
            "trees",
            "vehicles_2",
        ),
    }
)
"""Super-classes of the subsets of ADaPT, a study of subset-aware pruning; `subset1` is its name for `outdoor`."""
