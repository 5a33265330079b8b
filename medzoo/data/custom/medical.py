"""Slices of DICOM and NIfTI files as bytes, upright, and without names.

Nothing of a header but pixels and what they need leaves this module: patients
and studies are numbered in the order in which they come.
"""

import contextlib
import hashlib
import importlib
import logging
import struct
import warnings
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from medzoo.data.custom.options import CHOICES, Options, Window, read_window
from medzoo.data.custom.pixels import ImageFacts, resize_image
from medzoo.data.custom.table import BadImage
from medzoo.data.custom.walk import NIFTI
from medzoo.messages import unknown

# What readers raise for damaged files, and pixels that they cannot decode.
_DAMAGE = (
    OSError, EOFError, ValueError, KeyError, TypeError, AttributeError,
    IndexError, RuntimeError, struct.error,
)  # fmt: skip
# Axes of a patient: towards left, back and head.
_PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}


class Slices(NamedTuple):
    """Slices, and what belongs together.

    Args:
        images: `uint8`, shape `(n, size, size)`, or with 3 channels.
        groups: A number for the patient or study of each; `None` without.
    """

    images: np.ndarray
    groups: list[int] | None


class _Slice(NamedTuple):
    """Bytes of one slice, and who and what was examined."""

    values: np.ndarray
    keys: dict[str, Hashable]

    def find_key(self, group_by: str) -> Hashable:
        """Returns what tells a patient or study apart; it is never written.

        Raises:
            BadImage: If the header does not say it.
        """
        if group_by != "none" and self.keys.get(group_by) is None:
            raise BadImage(
                f"it names no {group_by}, whose images must stay in one split; "
                "group by `none` if no two files belong together"
            )
        return self.keys.get(group_by)


def read_medical(
    path: Path, options: Options
) -> tuple[np.ndarray, ImageFacts, Hashable]:
    """Reads a slice of a file as `read_pixels` reads an image.

    Its digest is of the bytes of its pixels, so that a copy without names is
    the same image.

    Returns:
        The pixels; what is known of them; and what tells patients or studies
        apart, `None` where nothing does.

    Raises:
        BadImage: With the reason, if it cannot be used.
    """
    index = None if options.slice < 0 else options.slice
    found = _read(path, read_window(options.window), index, options.plane)
    values = found.values
    height, width = values.shape[:2]
    is_grey = values.ndim == 2
    content = repr(values.shape).encode() + values.tobytes()
    facts = ImageFacts(
        hashlib.sha256(content).hexdigest(),
        "L" if is_grey else "RGB",
        width,
        height,
        is_grey,
    )
    mode = "L" if options.mode == "grey" else "RGB"
    image = _fit(values, options.size, options.resize).convert(mode)
    pixels = np.atleast_3d(np.asarray(image))
    return pixels, facts, found.find_key(options.group_by)


@contextlib.contextmanager
def keep_quiet() -> Iterator[None]:
    """Shows no warnings of readers, which may quote headers."""
    logs = [logging.getLogger(name) for name in ("pydicom", "nibabel.global")]
    levels = [log.level for log in logs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for log in logs:
                log.setLevel(logging.CRITICAL + 1)
            yield
        finally:
            for log, level in zip(logs, levels, strict=True):
                log.setLevel(level)


def read_slices(
    paths: Iterable[str | Path],
    *,
    size: int,
    window: Window,
    slices: Sequence[int] | None,
    plane: str,
    group: str,
    resize: str,
) -> Slices:
    """Reads one slice of each file, one file at a time.

    Args:
        paths: DICOM files, and NIfTI files that end in `.nii` or `.nii.gz`.
        size: Height and width that images get.
        window: Centre and width of the values that become 0 to 255, `file` for
            those of the header, or `range` for all values of the slice.
        slices: Index of the slice or frame of each file, from 0; the middle
            one if `None`.
        plane: `axial`, `coronal` or `sagittal`, of NIfTI volumes.
        group: `patient` or `study`, of DICOM files, or `none`.
        resize: `pad` with black, or `stretch`.

    Raises:
        ValueError: For a file that cannot be used, or a missing package.
    """
    names = [Path(path) for path in paths]
    for option, value, choices in (
        ("plane", plane, CHOICES["plane"]),
        ("group", group, CHOICES["group_by"]),
        ("resize", resize, CHOICES["resize"]),
    ):
        if value not in choices:
            raise ValueError(unknown(option, value, choices))
    window = read_window(window)
    if slices is not None and len(slices) != len(names):
        raise ValueError(
            "`slices` must name one slice a file. Expected "
            f"{len(names)} of them. Received: {len(slices)}."
        )
    images, keys = [], []
    for at, path in enumerate(names):
        index = None if slices is None else slices[at]
        try:
            with keep_quiet():
                found = _read(path, window, index, plane)
            keys.append(found.find_key(group))
        except BadImage as reason:
            raise ValueError(f"`{path}`: {reason}") from None
        images.append(np.asarray(_fit(found.values, size, resize)))
    shapes = {image.shape for image in images}
    if len(shapes) != 1:
        raise ValueError(
            "Files must be all grey or all in colour. Received: "
            f"{len(names)} files, some of each."
            if shapes
            else "No file. Expected DICOM or NIfTI files. Received: none."
        )
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    groups = None if group == "none" else [numbers[key] for key in keys]
    return Slices(np.stack(images), groups)


def _import(name: str, kind: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(
            f"{kind} files need the package {name}. Expected it to be "
            "installed. Run `pip install 'medzoo[medical]'`."
        ) from None


def _read(path: Path, window: Window, index: int | None, plane: str) -> _Slice:
    if not path.is_file():
        raise BadImage("no such file.")
    if path.name.lower().endswith(NIFTI):
        return _read_nifti(path, window, index, plane)
    return _read_dicom(path, window, index)


def _read_nifti(
    path: Path, window: Window, index: int | None, plane: str
) -> _Slice:
    nibabel = _import("nibabel", "NIfTI")
    if window == "file":
        raise BadImage(
            "a NIfTI file has no window. Expected window=(centre, width), or "
            "window='range' for all values of the slice."
        )
    try:
        volume = nibabel.as_closest_canonical(nibabel.load(path))
        axis, shape = _PLANES[plane], volume.shape
        if len(shape) > 3 and set(shape[3:]) != {1} or len(shape) < 3:
            raise BadImage(f"a volume of shape {shape}, where 3 axes belong.")
        at = _choose(index, shape[axis])
        place: list[Any] = [slice(None)] * 3 + [0] * (len(shape) - 3)
        place[axis] = at
        # Scaled by the slope of the file; only this slice, if not turned.
        values = np.asarray(volume.dataobj[tuple(place)], np.float64)
    except (*_DAMAGE, nibabel.filebasedimages.ImageFileError) as error:
        raise BadImage(f"cannot be read ({type(error).__name__}).") from None
    # From right, front and head: columns to the left or the back, rows down.
    values = values[::-1, ::-1].T
    return _Slice(_to_bytes(values, _range_of(values, window)), {})


def _read_dicom(path: Path, window: Window, index: int | None) -> _Slice:
    pydicom = _import("pydicom", "DICOM")
    from pydicom.pixels import apply_modality_lut, pixel_array

    try:
        header = pydicom.dcmread(path)
        pixels = pixel_array(header)  # Colours as RGB.
    except (*_DAMAGE, pydicom.errors.InvalidDicomError) as error:
        raise BadImage(f"cannot be read ({type(error).__name__}).") from None
    if header.get("BurnedInAnnotation") == "YES":
        raise BadImage(
            "it says that words about the patient are part of its image. "
            "Expected an image without."
        )
    is_colour = header.get("SamplesPerPixel", 1) == 3
    if pixels.ndim > 2 + is_colour:
        pixels = pixels[_choose(index, len(pixels))]
    elif index not in (None, 0):
        raise BadImage(f"it has one slice. Received: slice {index}.")
    kind = header.PhotometricInterpretation
    if is_colour:
        if pixels.dtype != np.uint8:
            raise BadImage("colours of 16 bits, where 8 belong.")
        values = pixels
    elif kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise BadImage(f"pixels of the kind {kind}, where grey or RGB belong.")
    else:
        scaled = np.asarray(apply_modality_lut(pixels, header), np.float64)
        padding = pixels == header.get("PixelPaddingValue", np.nan)
        inside = scaled[~padding] if (~padding).any() else scaled
        limits = _limits_of(header, inside, window)
        values = _to_bytes(scaled, limits)
        if kind == "MONOCHROME1":  # The lowest value is white.
            values = 255 - values
        values[padding] = 0
    return _Slice(_turn(values, header), _keys_of(header))


def _choose(index: int | None, count: int) -> int:
    at = count // 2 if index is None else index
    if not 0 <= at < count:
        raise BadImage(f"it has slices 0 to {count - 1}. Received: {at}.")
    return at


def _limits_of(
    header: Any, values: np.ndarray, window: Window
) -> tuple[float, float]:
    """Returns the values that become 0 and 255."""
    if window != "file":
        return _range_of(values, window)
    centres, widths = header.get("WindowCenter"), header.get("WindowWidth")
    if centres is not None and widths is not None:
        first = [float(np.atleast_1d(each)[0]) for each in (centres, widths)]
        exact = header.get("VOILUTFunction", "LINEAR") != "LINEAR"
        return _window_to_limits(*first, exact=exact)
    if header.get("BitsStored") == 8 and header.PixelRepresentation == 0:
        return 0.0, 255.0
    raise BadImage(
        "its header has no window. Expected window=(centre, width), or "
        "window='range' for all values of the slice."
    )


def _range_of(values: np.ndarray, window: Window) -> tuple[float, float]:
    if not isinstance(window, str):
        return _window_to_limits(*window)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise BadImage("no pixel is a number.")
    return float(finite.min()), float(finite.max())


def _window_to_limits(
    centre: float, width: float, *, exact: bool = False
) -> tuple[float, float]:
    """Returns the ends of a window, as DICOM defines it (PS3.3 C.11.2.1.2).

    Example:

    >>> _window_to_limits(128, 256), _window_to_limits(50, 100, exact=True)
    ((0.0, 255.0), (0.0, 100.0))
    """
    if exact:
        return centre - width / 2, centre + width / 2
    low = centre - 0.5 - (width - 1) / 2
    return low, low + width - 1


def _to_bytes(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    low, high = limits
    scaled = (np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-9)
    return np.floor(np.clip(scaled, 0, 1) * 255 + 0.5).astype(np.uint8)


def _turn(values: np.ndarray, header: Any) -> np.ndarray:
    """Turns a slice as radiologists look at it, where its header says how.

    Columns go to the left of the patient (to the back in a sagittal slice),
    rows to the back of an axial one, else to the feet.
    """
    cosines = header.get("ImageOrientationPatient")
    if cosines is None:
        return values
    along = np.reshape([float(each) for each in cosines], (2, 3))
    axes = np.abs(along).argmax(axis=1)  # Of columns, then of rows.
    signs = np.sign(along[[0, 1], axes])
    if axes[0] == axes[1]:
        raise BadImage("its rows and columns have one direction.")
    if axes[0] > axes[1]:
        values = np.swapaxes(values, 0, 1)
        axes, signs = axes[::-1], signs[::-1]
    if signs[0] < 0:
        values = values[:, ::-1]
    is_down = signs[1] < 0 if axes[1] == 2 else signs[1] > 0
    return values if is_down else values[::-1]


def _keys_of(header: Any) -> dict[str, Hashable]:
    """Returns what tells patients and studies apart; it is never written."""
    patient = str(header.get("PatientID") or "")
    issuer = str(header.get("IssuerOfPatientID") or "")
    study = str(header.get("StudyInstanceUID") or "")
    return {
        "patient": (issuer, patient) if patient else None,
        "study": study or None,
    }


def _fit(values: np.ndarray, size: int, resize: str) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(values))
    return resize_image(image, size, resize)
