"""How many near-duplicates an audit finds, and how many it invents.

    python benchmarks/audit.py [--groups FILE]

Copies of images of one layout are made, changed by kind, and set among the
images; whatever is found beside them is wrong. The images are drawn; those of
the official breastmnist and retinamnist are used as well where the files are at
hand. Everything follows from seeds.

`--groups` names a CSV file of known near-duplicates with the columns `file`,
`label` and `group`, beside a folder `images/<label>/<file>`.
"""

import argparse
import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measures.origin import list_origin
from PIL import Image, ImageOps

from medzoo.data.audit.near_duplicates import Vectors, find_near_duplicates
from medzoo.data.dataset import Split
from medzoo.data.sources import load
from medzoo.report.tables import Table, format_table

OUT = Path(__file__).parents[1] / "results" / "benchmarks"
NUM_COPIES, NUM_OTHERS, SIZE = 100, 400, 64
SIZES = ((780, 28, 1), (10_015, 28, 3))


def recompress(image: Image.Image) -> Image.Image:
    """Writes and reads a JPEG of low quality, at its own size."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=50)
    return Image.open(content).convert(image.mode)


def crop(share: float) -> Callable[[Image.Image], Image.Image]:
    """Cuts the middle out, and makes it as large as the image was."""

    def cut(image: Image.Image) -> Image.Image:
        across, down = (round(s * (1 - share) / 2) for s in image.size)
        box = (across, down, image.width - across, image.height - down)
        return image.crop(box).resize(image.size, Image.Resampling.BICUBIC)

    return cut


def scale(share: float) -> Callable[[Image.Image], Image.Image]:
    """Makes an image smaller, and large again."""

    def resize(image: Image.Image) -> Image.Image:
        width, height = (max(1, round(s * share)) for s in image.size)
        less = image.resize((width, height), Image.Resampling.BICUBIC)
        return less.resize(image.size, Image.Resampling.BICUBIC)

    return resize


KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed (JPEG, quality 50)": recompress,
    "brightened (by 20 %, darks up)": lambda i: i.point(
        lambda level: level * 0.8 + 40
    ),
    "scaled to 60 % and back": scale(0.6),
    "turned by 90 degrees": lambda i: i.transpose(Image.Transpose.ROTATE_90),
    "turned by 180 degrees": lambda i: i.rotate(180),
    "mirrored": ImageOps.mirror,
    "mirrored and recompressed": lambda i: recompress(ImageOps.mirror(i)),
    "cropped to 97 %": crop(0.97),
    "cropped to 90 %": crop(0.9),
    "cropped to 80 %": crop(0.8),
}


def main() -> None:
    """Measures all of it, and writes the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--groups", type=Path)
    options = parser.parse_args()
    parts = [__doc__.partition("\n")[0].rstrip(".").replace("How", "# How")]
    parts.append("\n".join(list_origin("as many threads as NumPy takes")))
    parts.append(
        f"{NUM_COPIES} copies of a kind among {NUM_OTHERS} images; recall is "
        "the share of copies that are found, precision the share of found "
        "pairs that are copies. Real images hold near-duplicates of their own "
        "(below): pairs that are found without the copies are not counted."
    )
    parts += [measure_kinds(n, i) for n, i in list_images().items()]
    if options.groups:
        parts.append(measure_groups(options.groups))
    parts.append(measure_seconds())
    OUT.mkdir(parents=True, exist_ok=True)
    page = "\n\n".join(parts) + "\n"
    (OUT / "audit.md").write_text(page, encoding="utf-8")
    print(page)


def list_images() -> dict[str, np.ndarray]:
    """Draws images of two layouts, and adds official ones."""
    found = {
        f"Drawn images with black bars, {SIZE} px": draw_barred(),
        f"Drawn images in a round field, {SIZE} px": draw_round(),
    }
    for task in ("breastmnist", "retinamnist"):
        try:
            data = load(task)
        except (FileNotFoundError, ValueError):
            continue
        images = np.concatenate([s.images for s in data.splits.values()])
        found[f"Official {task}, 28 px"] = images[:NUM_OTHERS]
    return found


def draw_blobs(random: np.random.Generator) -> np.ndarray:
    """Draws smooth structure, shape `(NUM_OTHERS, SIZE, SIZE)`."""
    drawn = np.zeros((NUM_OTHERS, SIZE, SIZE))
    for cells, weight in ((4, 50), (12, 20), (32, 8)):
        small = random.normal(0, weight, (NUM_OTHERS, cells, cells))
        drawn += [
            np.asarray(
                Image.fromarray(one.astype(np.float32)).resize(
                    (SIZE, SIZE), Image.Resampling.BICUBIC
                )
            )
            for one in small
        ]
    return drawn


def draw_barred() -> np.ndarray:
    """Draws images that a third of black bars makes square."""
    drawn = draw_blobs(np.random.default_rng(0)) + 128
    edge = SIZE // 6
    drawn[:, :edge] = drawn[:, SIZE - edge :] = 0
    return drawn.clip(0, 255).astype(np.uint8)[..., None]


def draw_round() -> np.ndarray:
    """Draws images that share a bright round field on black."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    radius = np.hypot(x, y)
    drawn = draw_blobs(np.random.default_rng(1)) / 3 + 190 - radius * 2
    drawn = np.where(radius < SIZE / 2, drawn, 0)
    return drawn.clip(0, 255).astype(np.uint8)[..., None]


def find_pairs(images: np.ndarray) -> set[tuple[int, ...]]:
    """Finds pairs of images, equal ones among them."""
    labels = np.zeros(len(images), np.int32)
    found = find_near_duplicates(Vectors([Split(images, labels)]))
    pairs = {tuple(pair) for pair in found.pairs.tolist()}
    equal = {(int(f), at) for at, f in enumerate(found.group) if f != at}
    return pairs | equal


def measure_kinds(name: str, images: np.ndarray) -> str:
    """Makes the table of one set of images."""
    random = np.random.default_rng(0)
    chosen = np.sort(random.permutation(len(images))[:NUM_COPIES])
    known = find_pairs(images)
    wanted = {(int(row), len(images) + at) for at, row in enumerate(chosen)}
    rows = []
    for kind, change in KINDS.items():
        copies = np.stack([change_one(images[row], change) for row in chosen])
        found = find_pairs(np.concatenate([images, copies])) - known
        right = len(found & wanted)
        # A copy of an image is near what the image is near.
        wrong = [
            pair
            for pair in found - wanted
            if not is_explained(pair, known, len(images), chosen)
        ]
        rows.append(
            [kind, f"{right} of {len(wanted)}", str(len(wrong)),
             f"{right / len(wanted):.2f}",
             f"{right / max(right + len(wrong), 1):.2f}"]
        )  # fmt: skip
    columns = ("copies", "found", "wrong", "recall", "precision")
    return f"## {name}\n\n{format_table(Table(columns, rows))}"


def is_explained(
    pair: tuple[int, ...],
    known: set[tuple[int, ...]],
    count: int,
    chosen: np.ndarray,
) -> bool:
    """Says whether a pair of copies is one of their originals as well."""
    first, second = sorted(
        int(chosen[at - count]) if at >= count else at for at in pair
    )
    return first == second or (first, second) in known


def change_one(
    image: np.ndarray, change: Callable[[Image.Image], Image.Image]
) -> np.ndarray:
    """Changes one image; bars are added afterwards, as by a reader of files."""
    is_grey, has_bars = image.shape[-1] == 1, not image[: len(image) // 6].any()
    edge = SIZE // 6 if has_bars else 0
    content = image[edge : len(image) - edge]
    picture = Image.fromarray(content[..., 0] if is_grey else content)
    changed = change(picture)
    whole = Image.new(picture.mode, image.shape[1::-1])
    left = (whole.width - changed.width) // 2
    whole.paste(changed, (left, (whole.height - changed.height) // 2))
    return np.asarray(whole).reshape(image.shape)


def measure_groups(path: Path) -> str:
    """Compares what is found to a file of known near-duplicates."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    groups = np.array([row["group"] for row in rows])
    same = np.triu(groups[:, None] == groups, 1)
    wanted = {tuple(pair) for pair in np.argwhere(same).tolist()}
    lines = []
    for size in (28, 64):
        images = np.stack([
            np.asarray(
                Image.open(path.parent / "images" / row["label"] / row["file"])
                .convert("L")
                .resize((size, size), Image.Resampling.BICUBIC)
            )[..., None]
            for row in rows
        ])  # fmt: skip
        found = find_pairs(images)
        right = len(found & wanted)
        joined = {at for pair in found & wanted for at in pair}
        every = {at for pair in wanted for at in pair}
        lines.append(
            [f"{size} px", f"{right} of {len(wanted)}",
             f"{len(joined)} of {len(every)}", str(len(found) - right),
             f"{right / len(found):.2f}"]
        )  # fmt: skip
    columns = ("size", "pairs found", "images", "not in a group", "precision")
    return (
        "## BUSI\n\n"
        f"{len(rows)} breast ultrasound images (Al-Dhabyani et al., 2020, "
        "https://doi.org/10.1016/j.dib.2019.104863, from the publisher's page "
        "as `Dataset_BUSI_with_GT`), with groups of near-duplicates that were "
        "found on the larger images by other means. Their groups are chains, "
        "so that not each pair of a group is alike.\n\n"
        f"{format_table(Table(columns, lines))}"
    )


def measure_seconds() -> str:
    """Times the search, each in a process of its own."""
    rows = [
        [f"{count:,} of {size} px, {channels} channels",
         f"{time_search(count, size, channels):.1f}"]
        for count, size, channels in SIZES
    ]  # fmt: skip
    table = format_table(Table(("images", "CPU seconds"), rows))
    return f"## Time\n\nOf the search, in eight symmetries.\n\n{table}"


TIMED = """
import sys, time
import numpy as np
from medzoo.data.audit.near_duplicates import Vectors, find_near_duplicates
from medzoo.data.dataset import Split
count, size, channels = map(int, sys.argv[1:])
random = np.random.default_rng(0)
cells = random.integers(0, 200, (count, 7, 7, channels))
images = np.repeat(np.repeat(cells, size // 7, 1), size // 7, 2)
images = (images + random.integers(0, 50, images.shape)).astype(np.uint8)
start = time.process_time()
find_near_duplicates(Vectors([Split(images, np.zeros(count, np.int32))]))
print(time.process_time() - start)
"""


def time_search(count: int, size: int, channels: int) -> float:
    """Returns CPU seconds of one search in a process of its own."""
    words = [sys.executable, "-c", TIMED, str(count), str(size), str(channels)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout)


if __name__ == "__main__":
    main()
