"""Names of masks that are not those of their images: the pattern they have."""

import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath

# Images that are looked at, and the share that has to have one pattern; images
# and masks may be in one list.
_SAMPLE, _MOST = 40, 0.4
# What may stand between the name of an image and the rest of that of its mask.
_SEPARATORS = "_-. ("


def find_mask_pattern(
    images: Sequence[str], files: Sequence[str], base: str
) -> tuple[str, str, str] | None:
    """Finds the pattern by which files are called after images.

    Args:
        images: Paths of images that have no mask.
        files: Paths of all files that may be a mask.
        base: Folder of the images.

    Returns:
        The pattern, an image and its mask; `None` if most have no such file.

    Example:

    >>> find_mask_pattern(["images/7.jpg"], ["masks/7_seg.png"], "images")
    ('masks/{stem}_seg.png', 'images/7.jpg', 'masks/7_seg.png')
    """
    names: dict[str, list[str]] = {}
    for file in sorted(files):
        folder, _, name = file.rpartition("/")
        names.setdefault(folder, []).append(name)
    sample = images[:: max(1, len(images) // _SAMPLE)]
    found: Counter[str] = Counter()
    examples: dict[str, tuple[str, str]] = {}
    for image in sample:
        matches = {
            _generalize(image, folder, name, base): f"{folder}/{name}".lstrip(
                "/"
            )
            for folder, inside in names.items()
            for name in _find_alike(PurePath(image).stem, inside)
            if f"{folder}/{name}".lstrip("/") != image
        }
        found.update(matches.keys())
        for pattern, mask in matches.items():
            examples.setdefault(pattern, (image, mask))
    best, count = next(iter(found.most_common(1)), ("", 0))
    if count <= _MOST * len(sample):
        return None
    return best, *examples[best]


def _find_alike(stem: str, names: Sequence[str]) -> Iterator[str]:
    """Yields the names that begin or end with that of an image."""
    for at in range(bisect.bisect_left(names, stem), len(names)):
        if not names[at].startswith(stem):
            break
        # A name may end there: `x.jpg` beside the image `x.jpg.png`.
        if names[at][len(stem) : len(stem) + 1] in {*_SEPARATORS}:
            yield names[at]
    for name in names:
        before, middle, _ = name.rpartition(f"{stem}.")
        if middle and before and before[-1] in _SEPARATORS:
            yield name


def _generalize(image: str, folder: str, name: str, base: str) -> str:
    """Puts columns in the place of what an image and its mask share."""
    inside = PurePath(image).parent.relative_to(base or ".").as_posix()
    if inside != "." and f"{folder}/".endswith(f"{inside}/"):
        folder = f"{folder.removesuffix(inside)}{{folder}}"
    called = name.replace(PurePath(image).stem, "{stem}", 1)
    return f"{folder}/{called}".lstrip("/")
