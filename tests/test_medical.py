"""Slices of DICOM and NIfTI files: bytes, orientation, groups, no names."""

import itertools
import sys
import zipfile

import numpy as np
import pytest
from in_process import InProcess

from medzoo.conduct import Conduct, Watch
from medzoo.data.custom.about import describe_images
from medzoo.data.custom.from_python import Dataset
from medzoo.data.custom.medical import read_slices
from medzoo.data.sources import load
from medzoo.runs.run import Run
from medzoo.runs.sources import with_fingerprint
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.spec import read_study

USUAL = {
    "size": 4,
    "window": "file",
    "slices": None,
    "plane": "axial",
    "group": "none",
    "resize": "pad",
}
NAME = "Doe^Jane"


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_dicom(path, values, *, patient="4711", **tags):
    """Writes a DICOM file of `int16` or `uint8` values."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = CTImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    header.PatientName, header.PatientID = NAME, patient
    header.StudyInstanceUID = f"1.2.{abs(hash(patient)) % 1000}"
    header.Rows, header.Columns = values.shape[-2:]
    if values.ndim == 3:
        header.NumberOfFrames = len(values)
    bits = 8 * values.dtype.itemsize
    header.BitsAllocated = header.BitsStored = bits
    header.HighBit = bits - 1
    header.PixelRepresentation = int(values.dtype.kind == "i")
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.PixelData = values.tobytes()
    for name, value in tags.items():
        setattr(header, name, value)
    header.save_as(path, enforce_file_format=True)
    return path


def read(path, **options):
    return read_slices([path], **{**USUAL, **options}).images[0]


RAMP = np.arange(16, dtype=np.int16).reshape(4, 4)


@pytest.mark.extras
def test_the_window_is_that_of_the_standard_after_the_rescale_slope(tmp_path):
    path = tmp_path / "a.dcm"
    tags = {"RescaleSlope": 2, "RescaleIntercept": -10}
    write_dicom(path, RAMP, WindowCenter=5, WindowWidth=11, **tags)
    x, centre, width = RAMP * 2.0 - 10, 5, 11
    # PS3.3, C.11.2.1.2.1.
    y = ((x - (centre - 0.5)) / (width - 1) + 0.5) * 255
    expected = np.floor(np.clip(y, 0, 255) + 0.5)
    assert (read(path) == expected).all()
    assert (read(path, window=(5, 11)) == expected).all()
    full = np.floor(np.arange(16) / 15 * 255 + 0.5).reshape(4, 4)
    assert (read(path, window="range") == full).all()


@pytest.mark.extras
def test_low_values_of_monochrome1_are_white_and_padding_is_black(tmp_path):
    tags = {"WindowCenter": 8, "WindowWidth": 16}
    plain = read(write_dicom(tmp_path / "a.dcm", RAMP, **tags))
    tags["PhotometricInterpretation"] = "MONOCHROME1"
    turned = read(write_dicom(tmp_path / "b.dcm", RAMP, **tags))
    assert (turned == 255 - plain).all()
    tags["PixelPaddingValue"] = 3
    padded = read(write_dicom(tmp_path / "c.dcm", RAMP, **tags))
    assert padded[0, 3] == 0
    assert (padded != turned).sum() == 1


@pytest.mark.extras
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_every_orientation_gives_the_same_picture(tmp_path, plane):
    axes = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}[plane]
    right, down = np.eye(3)[list(axes)]
    down = -down if plane != "axial" else down
    for at, (swap, flip_x, flip_y) in enumerate(
        itertools.product((False, True), repeat=3)
    ):
        values, columns, rows = RAMP, right, down
        if flip_x:
            values, columns = values[:, ::-1], -columns
        if flip_y:
            values, rows = values[::-1], -rows
        if swap:
            values, columns, rows = values.T, rows, columns
        path = write_dicom(
            tmp_path / f"{at}.dcm",
            np.ascontiguousarray(values),
            ImageOrientationPatient=[*columns, *rows],
        )
        expected = np.floor(RAMP / 15 * 255 + 0.5)
        assert (read(path, window="range") == expected).all()


@pytest.mark.extras
@pytest.mark.parametrize("signs", [*itertools.product((1, -1), repeat=3)])
def test_volumes_look_the_same_from_any_corner(tmp_path, signs):
    nibabel = pytest.importorskip("nibabel")
    # In RAS+: grows to the right, to the front and to the head.
    x, y, z = np.meshgrid(np.arange(4), np.arange(4), np.arange(4))
    volume = (x + 4 * y + 16 * z).transpose(1, 0, 2).astype(np.int16)
    flips = tuple(slice(None, None, sign) for sign in signs)
    affine = np.diag([*signs, 1]).astype(float)
    path = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(volume[flips], affine), path)
    window = {"window": (32, 64)}
    axial = read(path, slices=[1], **window).astype(int)
    assert (np.diff(axial, axis=1) < 0).all()  # Columns run to the left.
    assert (np.diff(axial, axis=0) < 0).all()  # Rows run to the back.
    coronal = read(path, plane="coronal", **window).astype(int)
    assert coronal[0, 0] > coronal[-1, 0]  # The head is above.
    assert coronal[0, 0] > coronal[0, -1]
    with pytest.raises(ValueError, match="has no window"):
        read(path)
    with pytest.raises(ValueError, match="names no patient"):
        read(path, group="patient", **window)


@pytest.mark.extras
def test_slices_of_a_patient_stay_together_and_no_name_is_written(tmp_path):
    paths, labels = [], []
    for at in range(40):
        values = np.random.default_rng(at).integers(0, 99, (3, 5, 6))
        paths.append(tmp_path / f"{at}.dcm")
        write_dicom(paths[-1], values.astype("uint8"), patient=f"P{at // 2}x")
        labels.append("ab"[at // 2 % 2])
    data = Dataset.from_medical(paths, labels, size=8, val=0.2)
    found = load("medical", data.address, data.size)
    assert found.train.images.shape[1:] == (8, 8, 1)
    written = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    contents = b"".join(path.read_bytes() for path in written)
    for word in (NAME, "Doe", "P1x", "1.2.", ".dcm"):
        assert word.encode() not in contents
    (table,) = [path for path in written if path.suffix == ".csv"]
    rows = [row.split(",") for row in table.read_text().splitlines()[1:]]
    splits = {group: {s for s, g in rows if g == group} for _, group in rows}
    assert len(splits) == 20
    assert all(len(each) == 1 for each in splits.values())


def write_scans(root, *, kind="dicom", num=16):
    """Writes two files each of `num` patients, called as they are."""
    for at in range(2 * num):
        patient, label = f"{NAME}{at // 2}", "ab"[at // 2 % 2]
        folder = root / label / patient
        folder.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(at).integers(0, 200, (3, 8, 9))
        values = values.astype("uint8") + 55 * np.uint8(label == "b")
        if kind == "dicom":
            path = folder / f"{patient}.{at}"  # As a UID ends.
            write_dicom(path, values, patient=patient)
        else:
            nibabel = pytest.importorskip("nibabel")
            image = nibabel.Nifti1Image(values, np.eye(4))
            image.header["descrip"] = NAME.encode()
            nibabel.save(image, folder / f"{patient}.{at}.nii.gz")
    return root


def read_written(*folders):
    """Reads all that was written, files in archives and names too."""
    parts = []
    for path in (p for folder in folders for p in sorted(folder.rglob("*"))):
        parts.append(str(path.name).encode())
        if path.is_file():
            parts.append(path.read_bytes())
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                parts += map(archive.read, archive.namelist())
    return b"".join(parts)


STUDY = """
question = "?"
seeds = [0]
[data]
source = "{data}"
window = "{window}"
[axes]
optimizer = ["sgd", "adam"]
[fixed]
model = "mlp"
width = 8
size = 8
epochs = 1
"""


@pytest.mark.extras
@pytest.mark.parametrize("kind", ["dicom", "nifti"])
def test_folders_of_scans_are_looked_at_and_trained_on(medzoo, tmp_path, kind):
    root = write_scans(tmp_path / "scans", kind=kind)
    (root / "scans.txt").write_text("of a tool")
    data = f"{kind}:{root}"
    shown = [medzoo(*("explore", data, "--size", 8, "--out", "out")).out]
    assert "16 groups kept whole" in shown[0]
    shown.append(medzoo("audit", data, "--size", 8, "--out", "out").out)
    options = ("--data", data, "--model", "mlp", "--set", "size=8")
    medzoo("train", *options, "--set", "steps=2", "--out", "model")
    (tmp_path / "s.toml").write_text(STUDY.format(data=data, window="90/150"))
    shown.append(medzoo("study", "plan", "s.toml").out)
    study = read_study(tmp_path / "s.toml")
    conduct = Conduct(study, Store(), means=InProcess())
    assert conduct.execute(Watch()) == "complete"
    run = expand(study)[0].run
    shown.append(medzoo("study", "report", "s.toml", "--out", "out").out)
    record = Store().read(run.run_id)
    assert record.status == "done", record.error
    assert run.data_options == {"window": "90/150"}
    usual = run.model_copy(update={"data_options": {}, "fingerprint": ""})
    assert with_fingerprint(usual).run_id != run.run_id
    written = ("cache", "out", "model", "runs")
    found = read_written(*(tmp_path / name for name in written))
    for word in (NAME, "Doe", "1.2.", ".nii", "of a tool"):
        assert word.encode() not in found, word
        assert word not in "".join(shown)


@pytest.mark.extras
def test_a_table_names_scans_whose_faults_name_nobody(medzoo, tmp_path):
    root = write_scans(tmp_path / "scans")
    paths = sorted(p.relative_to(root) for p in root.glob("*/*/*"))
    lines = [f"{p},{p.parts[0]},{at % 5}" for at, p in enumerate(paths)]
    table = root / "scans.csv"
    table.write_text("\n".join(["path,label,age", *lines]))
    options = {"attributes": ("age=3",), "group_by": "study"}
    about = describe_images(f"dicom:{table}", 8, options)
    assert sorted(about.names) == sorted(f"line {at}" for at in range(2, 34))
    for name, age in zip(about.names, about.attributes["age"], strict=True):
        assert int(age) == (int(name.split()[1]) - 2) % 5
    assert len(set(about.groups)) == 16
    folder = f"dicom:{root}"
    table.rename(tmp_path / "scans.images.csv")
    assert describe_images(folder, 8, options).names[0].startswith("file ")
    (root / paths[0]).write_bytes(b"none")
    write_dicom(root / paths[1], np.zeros((4, 4), "uint8"), PatientID="")
    told = medzoo("explore", folder, code=2).err
    assert "2 faults" in told
    assert "file 1: cannot be read" in told
    assert "file 2: it names no patient" in told
    assert NAME not in told + str(read_written(tmp_path / "cache"))


@pytest.mark.extras
def test_a_copy_without_names_is_the_same_data(tmp_path):
    root = write_scans(tmp_path / "scans")
    pydicom = pytest.importorskip("pydicom")
    first = load("scans", f"dicom:{root}", 8)
    for path in root.glob("*/*/*"):
        header = pydicom.dcmread(path)
        header.PatientName = "nobody"
        header.save_as(path)
    again = load("scans", f"dicom:{root}", 8, seed=1)
    assert again.fingerprint == first.fingerprint
    other = load("scans", f"dicom:{root}", 8, options=(("slice", 0),))
    assert other.fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("data", "options", "sentence"),
    [
        ("dicom:x", {"window": "40/0"}, "the width above 1"),
        ("dicom:x", {"plane": "axial"}, "Unknown data option `plane`"),
        ("nifti:x", {"window": "file"}, "A NIfTI file has no window"),
        ("nifti:x", {"slice": -2}, "-1 for the middle one"),
        ("nifti:x", {"group_by": "patient"}, "Unknown data option `group_by`"),
        ("folder:x", {"window": "40/400"}, "Unknown data option `window`"),
    ],
)
def test_options_of_scans_are_checked(data, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Run(task="x", data=data, data_options=options)
    assert Run(task="x", data=data).data_options == {}


@pytest.mark.extras
def test_what_cannot_be_used_is_one_sentence(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(b"no DICOM")
    cases = [("cannot be read", {}), ("no such file", {"name": "b.dcm"})]
    for reason, tags in (
        ("has no window", {}),
        ("words about the patient", {"BurnedInAnnotation": "YES"}),
        ("of the kind", {"PhotometricInterpretation": "PALETTE COLOR"}),
    ):
        cases.append((reason, {"tags": tags}))
    for reason, case in cases:
        if "tags" in case:
            write_dicom(path, RAMP, **case["tags"])
        with pytest.raises(ValueError, match=reason) as caught:
            read(tmp_path / case.get("name", "a.dcm"))
        assert "\n" not in str(caught.value)
        assert NAME not in str(caught.value)
    write_dicom(path, np.zeros((3, 4, 4), "uint8"))
    with pytest.raises(ValueError, match="slices 0 to 2"):
        read(path, slices=[3])


@pytest.mark.parametrize(
    ("name", "package"), [("a.dcm", "pydicom"), ("a.nii", "nibabel")]
)
def test_a_missing_package_is_one_sentence(
    tmp_path, monkeypatch, name, package
):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=r"pip install 'medzoo\[medical\]'"):
        read(tmp_path / name, window="range")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"window": "lung"}, "centre and width"),
        ({"window": (40, 0)}, "centre and width"),
        ({"plane": "oblique"}, "Unknown plane"),
        ({"slices": [1, 2]}, "one slice a file"),
    ],
)
def test_wrong_options_are_one_sentence(option, sentence):
    with pytest.raises(ValueError, match=sentence):
        read("a.dcm", **option)
