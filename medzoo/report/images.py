"""What reports say of single test images: attributes and pictures.

It is read from the data when a report is made, and kept beside the records by
the fingerprint of the data. Pictures that are shown go into the evidence, so
that a report is made again without data; attributes of images never do, but the
scores by subgroup that come of them.
"""

import base64
import binascii
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from medzoo.data.custom.attributes import Attribute, read_attributes
from medzoo.data.tested import Tested, find_tested
from medzoo.files import safe_name
from medzoo.record import Record
from medzoo.report.results import TrialResults
from medzoo.runs.sources import is_custom
from medzoo.store import Reader
from medzoo.study.spec import Study

# Longest side of a picture in pixels.
_SIDE = 64


# The cell of each test image, by column; empty ones are unknown.
Attributes = dict[str, list[str]]


class Picture(NamedTuple):
    """A test image on a page.

    Args:
        name: Of its file; empty if it has none.
        webp: The picture.
    """

    name: str
    webp: bytes


def list_attributes(study: Study) -> list[Attribute]:
    """Lists the attributes that a study asks for."""
    return read_attributes(study.data_options.get("attributes", ()))


def fingerprint_of(record: Record, task: str) -> str:
    """Returns the fingerprint of the images of one task of a run."""
    found, tasks = record.data_fingerprint, record.run.tasks
    parts = found.split("+") if len(tasks) > 1 else [found]
    found = dict(zip(tasks, parts, strict=False)).get(task, "")
    return found.replace(":drop_leaks", "")  # From train alone.


def keep_attributes(
    study: Study, results: Iterable[TrialResults], store: Reader
) -> None:
    """Keeps the attributes of all images that are tested.

    Where data are not there any more, what was kept before stays.
    """
    names = [each.name for each in list_attributes(study)]
    if not names or not is_custom(study.data):
        return
    for record, task in _list_tested(results):
        tested = find_images(study, record, task)
        if tested is not None:
            about = {"attributes": tested.attributes}
            content = json.dumps(about, separators=(",", ":")).encode()
            name = name_attributes(fingerprint_of(record, task), names)
            if store.read_file(name) != content:
                store.cache_file(name, content)


def read_attributes_of(
    study: Study, record: Record, task: str, store: Reader
) -> Attributes | None:
    """Reads what `keep_attributes` has kept; `None` without any."""
    names = [each.name for each in list_attributes(study)]
    name = name_attributes(fingerprint_of(record, task), names)
    resplit = record.run.resplit  # Another part of the data is tested then.
    content = store.read_file(name) if names and not resplit else None
    return json.loads(content)["attributes"] if content else None


def name_attributes(fingerprint: str, names: Sequence[str]) -> str:
    """Names the file of attributes by the data and the columns."""
    digest = hashlib.sha256(repr(sorted(names)).encode()).hexdigest()[:8]
    return f"images/{_safe(fingerprint)}.{digest}.json"


def name_pictures(fingerprint: str) -> str:
    """Names the file of pictures by the data."""
    return f"images/{_safe(fingerprint)}.pictures.json"


def _safe(fingerprint: str) -> str:
    return safe_name(fingerprint.replace(":", "-").replace(", ", "-"))


def keep_pictures(
    study: Study,
    record: Record,
    task: str,
    places: Iterable[int],
    store: Reader,
) -> None:
    """Keeps small pictures of some test images, if the data are at hand.

    Args:
        study: Says where the data are.
        record: Of a run that has tested them.
        task: Name of the task.
        places: Of the images in its predictions.
        store: Keeps them.
    """
    fingerprint = fingerprint_of(record, task)
    known = dict(read_pictures(fingerprint, store))
    missing = sorted(set(places) - known.keys())
    tested = find_images(study, record, task) if missing else None
    if tested is None:
        return
    images = tested.images(missing)
    known |= {
        place: Picture(tested.name(place), _encode(image))
        for place, image in zip(missing, images, strict=True)
    }
    store.cache_file(name_pictures(fingerprint), format_pictures(known))


def read_pictures(fingerprint: str, store: Reader) -> dict[int, Picture]:
    """Reads the pictures that there are, by the place of their images."""
    content = store.read_file(name_pictures(fingerprint))
    try:
        found = json.loads(content or b"{}")
        return {
            int(place): Picture(name, base64.b64decode(text))
            for place, (name, text) in found.items()
        }
    except (ValueError, TypeError, binascii.Error):
        return {}


def format_pictures(pictures: Mapping[int, Picture]) -> bytes:
    """Writes the file that `read_pictures` reads."""
    plain: dict[str, Any] = {
        str(place): [picture.name, base64.b64encode(picture.webp).decode()]
        for place, picture in sorted(pictures.items())
    }
    return json.dumps(plain, ensure_ascii=True, indent=0).encode()


def _list_tested(
    results: Iterable[TrialResults],
) -> list[tuple[Record, str]]:
    """Lists a run of each fingerprint that has predicted test images."""
    found: dict[str, tuple[Record, str]] = {}
    for trial in results:
        for (_, task), record in trial.records.items():
            if record.status == "done" and not record.run.resplit:
                key = fingerprint_of(record, task)
                found.setdefault(key, (record, task))
    return list(found.values())


def find_images(study: Study, record: Record, task: str) -> Tested | None:
    """Finds the test images of a run, if the data are there and the same."""
    run, options = record.run, dict(study.data_options)
    expected = fingerprint_of(record, task).partition(",")[0]
    if run.data == "synthetic" or not expected:
        return None
    try:
        tested = find_tested(task, run.data, run.size, options, seed=run.seed)
    except FileNotFoundError:
        return None
    return tested if tested.dataset.fingerprint == expected else None


def _encode(image: np.ndarray) -> bytes:
    """Writes a small WebP."""
    from PIL import Image

    shown = image[..., 0] if image.shape[-1] == 1 else image
    picture = Image.fromarray(shown)
    picture.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=70, method=4)
    return content.getvalue()
