"""How many images per second each augmentation makes, on one processor core or on a GPU.

    python benchmarks/augmentation.py [--device cpu] [--rounds 15] [--write]

Random 32x32 colour images, batches of 256, held on the device; every batch is shuffled, augmented and normalised.
Options take turns within a round, the first round is not counted; on the CPU the time is that of the working thread,
so that other work on the machine does not count. `--write` puts the table into docs/results/augmentation.md.
"""

import argparse
import platform
import statistics
import time
from pathlib import Path

import torch

from secateurs.data import Augment, Batches, BatchOptions, Blur, ColourJitter, ImageSet, ResizedCrop

COUNT, SIDE, BATCH = 2048, 32, 256
RESULT = Path(__file__).parent.parent / "docs" / "results" / "augmentation.md"
OPTIONS = {
    "nothing (shuffle, normalise)": Augment(),
    "flip": Augment(flip=True),
    "crop 4, zeros": Augment(crop=4),
    "crop 4, reflect": Augment(crop=4, crop_padding="reflect"),
    "crop 4, zeros, flip: the custom for CIFAR": Augment(crop=4, flip=True),
    "cutout 16": Augment(cutout=16),
    "resized crop to 32": Augment(resized_crop=ResizedCrop(size=32)),
    "brightness": Augment(colour=ColourJitter(brightness=0.4)),
    "contrast": Augment(colour=ColourJitter(contrast=0.4)),
    "saturation": Augment(colour=ColourJitter(saturation=0.4)),
    "hue": Augment(colour=ColourJitter(hue=0.1)),
    "grayscale": Augment(grayscale=0.2),
    "blur, 3 pixels": Augment(blur=Blur(kernel=3)),
    "everything": Augment(
        resized_crop=ResizedCrop(size=32),
        flip=True,
        colour=ColourJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, probability=0.8),
        grayscale=0.2,
        blur=Blur(kernel=3),
        cutout=16,
    ),
}


def made(images: ImageSet, augment: Augment, device: str) -> Batches:
    """Batches with one option."""
    options = BatchOptions(device=device, shuffle=True, augment=augment)
    return Batches(images, batch_size=BATCH, mean=(0.49, 0.48, 0.45), std=(0.25, 0.24, 0.26), options=options)


def seconds(batches: Batches, epoch: int, device: str) -> float:
    """One epoch."""
    clock = time.thread_time if device == "cpu" else time.perf_counter
    batches.set_epoch(epoch)
    start = clock()
    for _ in batches:
        pass
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def measure(device: str, rounds: int) -> dict[str, list[float]]:
    """Images per second of each option in each round."""
    generator = torch.Generator().manual_seed(0)
    images = ImageSet(
        images=torch.randint(0, 256, (COUNT, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator),
        labels=torch.zeros(COUNT, dtype=torch.int64),
        indices=torch.arange(COUNT),
        classes=("x",),
    )
    all_batches = {name: made(images, augment, device) for name, augment in OPTIONS.items()}
    rates: dict[str, list[float]] = {name: [] for name in OPTIONS}
    for round_ in range(rounds + 1):
        for name, batches in all_batches.items():
            taken = seconds(batches, round_, device)
            if round_:
                rates[name].append(COUNT / taken)
    return rates


def table(rates: dict[str, list[float]]) -> str:
    """Markdown."""
    lines = ["| augmentation | images/s, median | least | most |", "|---|---|---|---|"]
    for name, values in rates.items():
        lines.append(f"| {name} | {statistics.median(values):,.0f} | {min(values):,.0f} | {max(values):,.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name() if options.device != "cpu" else f"one core, {processor()}"
    place = f"{name}, torch {torch.__version__}, n={options.rounds}"
    shown = table(measure(options.device, options.rounds))
    print(place + "\n" + shown)
    if options.write:
        before = RESULT.read_text().partition("<!-- table -->")[0] if RESULT.exists() else "# Augmentation\n\n"
        RESULT.write_text(f"{before}<!-- table -->\n{place}.\n\n{shown}\n")


def processor() -> str:
    """Its name as the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.machine()


if __name__ == "__main__":
    main()
