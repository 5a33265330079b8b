"""Small images with masks of one's own, in folders."""

import numpy as np
from own_images import make_image
from PIL import Image

SIDE = 12


def make_mask(index, *, value=255, side=SIDE):
    """Makes a mask with a square; every third one is empty."""
    mask = np.zeros((side, side), np.uint8)
    if index % 3:
        mask[2:5, 1 + index % 4 : 6] = value
    return mask


def make_masks(root, *, num=12, value=255):
    """Writes `images/*.png` and masks called alike."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for index in range(num):
        image = make_image(index, shape=(SIDE, SIDE))
        image.save(root / "images" / f"{index:02}.png")
        mask = Image.fromarray(make_mask(index, value=value))
        mask.save(root / "masks" / f"{index:02}.png")
    return root


def write_csv(root, header, *rows):
    """Writes `list.csv` into a folder and returns its address."""
    path = root / "list.csv"
    lines = [header, *rows]
    path.write_text("\n".join(",".join(map(str, line)) for line in lines))
    return f"masks:{path}"
