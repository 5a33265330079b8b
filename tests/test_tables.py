"""Tables as people, R, Excel and pandas write them."""

import csv
import io
import math
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from own_images import make_image

from medzoo.data.custom.load import describe_rows, read_custom
from medzoo.data.custom.options import make_canonical
from medzoo.data.custom.pattern import read_pattern
from medzoo.data.custom.table import read_csv

NUM = 8
NAMES = [f"{at}.png" for at in range(NUM)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder `imgs` of images; tables are written beside it."""
    folder = tmp_path_factory.mktemp("tables")
    (folder / "imgs").mkdir()
    for at, name in enumerate(NAMES):
        make_image(at).save(folder / "imgs" / name)
    return folder


def write(root, *lines, header="path,label", encoding="utf-8", end="\n"):
    """Writes a table with a row an image, and further lines."""
    marks = header.replace("path", "imgs/{}").replace("label", "{}")
    rows = [marks.format(n, "ab"[at % 2]) for at, n in enumerate(NAMES)]
    text = end.join([header, *rows, *lines])
    (root / "labels.csv").write_bytes(text.encode(encoding))
    return f"csv:{root / 'labels.csv'}"


def load(data, **options):
    return read_custom("x", data, 8, options)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"encoding": "utf-8-sig"},
        {"encoding": "utf-16"},
        {"end": "\r\n"},
        {"end": "\r"},
        {"header": "path;label"},
        {"header": "path\tlabel"},
        {"header": "path|label"},
        {"header": ",path,label"},
        {"header": '"path", "label"'},
        {"header": "path ; label"},
        {"header": "path;size, mm;label"},
        {"header": "path,label,,"},
    ],
)
def test_a_table_is_read_as_programs_write_it(root, form):
    plain = load(write(root))
    assert load(write(root, **form)).fingerprint == plain.fingerprint


def test_the_first_line_of_excel_and_rows_of_nothing_are_passed_over(root):
    plain = load(write(root)).fingerprint
    path = root / "labels.csv"
    path.write_text(f"sep=,\n{path.read_text()}\n,\n\n")
    assert load(f"csv:{path}").fingerprint == plain


@pytest.mark.parametrize("mark", ["\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_marks_in_a_cell_end_no_line(root, mark):
    plain = load(write(root))
    data = write(root, header=f"path,a note{mark}of two,label")
    assert load(data).fingerprint == plain.fingerprint
    table = read_csv(root / "labels.csv")
    assert [line for line, _ in table.rows] == [
        f"line {at + 2}" for at in range(NUM)
    ]


def test_lines_are_counted_as_an_editor_counts_them(root):
    rows = 'imgs/0.png,a\n"imgs/\n1.png",b\n\nimgs/no.png,a\n'
    path = root / "labels.csv"
    path.write_text(f"path,label\n{rows}", encoding="utf-8")
    with pytest.raises(ValueError, match="line 6, imgs/no.png: no such file"):
        load(f"csv:{path}")


@pytest.mark.parametrize(
    "name",
    ["image.path", "img[0]", "file:name", "file!r", "{id}", "a{b", "0", "%s"],
)
def test_a_column_is_a_column_whatever_its_name(root, name):
    data = write(root)
    plain = load(data).fingerprint
    path = root / "labels.csv"
    text = path.read_text().replace("path", f'"{name}"')
    path.write_text(text.replace("label", '"class.name"'))
    label = {"label": "class.name"}
    assert load(data, path=name, **label).fingerprint == plain
    path.write_text(path.read_text().replace("imgs/", ""))
    pattern = f"imgs/{{{name}}}"
    assert load(data, path=pattern, **label).fingerprint == plain


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
HEADER = st.lists(
    CELL.map(lambda text: f"c{text}".strip()),
    min_size=1,
    max_size=4,
    unique=True,
)


@settings(max_examples=60)
@given(st.data())
def test_any_table_is_read_back_or_refused_in_a_sentence(tmp_path, data):
    """What Python's csv module writes of any text, quotes or not."""
    header = data.draw(HEADER)
    rows = data.draw(
        st.lists(st.lists(CELL, min_size=1, max_size=5), min_size=1, max_size=4)
    )
    out = io.StringIO(newline="")
    delimiter = data.draw(st.sampled_from(",;\t"))
    csv.writer(out, delimiter=delimiter).writerows([header, *rows])
    path = tmp_path / "any.csv"
    path.write_bytes(out.getvalue().encode())
    try:
        table = read_csv(path)
    except ValueError as error:
        message = str(error)
        assume(str(path) not in message)
        raise
    lines = out.getvalue().replace("\r", "\n").count("\n")
    assert len(table.rows) + len(table.faults) <= lines
    names = list(dict.fromkeys(table.columns))
    pattern = "-".join(f"{{{name}}}" for name in names if name)
    for _, row in table.rows:
        assert set(row) == set(table.columns)
        if pattern:
            read_pattern(pattern, table.columns).fill(row)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("imgs/1.png,a", "line 10, imgs/1.png: the same path as line 3, which "
         "has the label 'b' where this has 'a'"),
        ("./imgs//1.png,b", "imgs//1.png: the same path as line 3"),
        ("imgs/1.png", "line 10: not the 2 cells of the first line, but 1: no "
         "cell of `label`"),
        ("imgs/1.png,a,3,5", "but 4: there is no column for '3', '5'"),
        ("imgs/1,a", "line 10, imgs/1: no such file; with its ending there is, "
         'so say path = "{path}.png"'),
        ("imgs/1.PNG,a", "imgs/1.PNG: no such file; there is 1.png"),
        ("imgs,a", "line 10, imgs: no such file; it is a folder"),
        (r"C:\data\1.png,a", "a path of Windows, write it relative"),
        ("imgs/\0.png,a", "no such file"),
        ("imgs/0.png,NA", "no label"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_one_sentence(root, line, sentence):
    with pytest.raises(ValueError, match="1 fault") as error:
        load(write(root, line))
    assert str(error.value).count(sentence) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,label,label\nimgs/0.png,a,x\n",
         "has 2 columns called `label` (the 2nd and 3rd). Expected one."),
        ("path,label\n1,imgs/0.png,a\n2,imgs/1.png,b\n",
         "Received: 3 in line 2 (1, imgs/0.png, a). Was it written by R's"),
        ("path,label,mm\nimgs/0.png,a,3,5,1\nimgs/1.png,b,2,5,1\n",
         "Were decimal commas, or commas in a text, left without quotes?"),
        ("path;lable\nimgs/0.png;a\n", "Did you mean `lable`?"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_in_all_rows_is_one_sentence(
    root, text, sentence
):
    path = root / "labels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load(f"csv:{path}")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_column_that_stands_twice_is_fine_if_it_is_not_read(root):
    plain = load(write(root)).fingerprint
    assert load(write(root, header="x,path,x,label")).fingerprint == plain


def test_a_pattern_names_columns_that_are_there(root):
    for path in ("imgs/{nme}", "imgs/{nme", "nme"):
        with pytest.raises(ValueError, match="Unknown column `nme`"):
            load(write(root), path=path)


def test_backslashes_and_other_forms_of_letters_lead_to_the_files(root):
    plain = load(write(root)).fingerprint
    path = root / "labels.csv"
    path.write_text(path.read_text().replace("imgs/", ".\\imgs\\"))
    assert load(f"csv:{path}").fingerprint == plain
    if sys.getfilesystemencoding() != "utf-8":
        pytest.skip("no file may have such a name here")
    for name in NAMES:
        content = (root / "imgs" / name).read_bytes()
        (root / f"ca\u0301{name}").write_bytes(content)
    path.write_text(path.read_text().replace(".\\imgs\\", "c\xe1"))
    assert load(f"csv:{path}").fingerprint == plain


@pytest.mark.parametrize(
    ("names", "is_read"),
    [
        (("1", "01"), False),
        (("1", "1.0"), False),
        (("1,5", "1.50"), False),
        (("Benign", "benign"), False),
        (("basal cell", "BasalCell"), False),
        (("ca\u0301ncer", "c\xe1ncer"), False),
        (("cat", "cat\u200b"), False),
        (("254637007", "254637008"), True),
        (("1.0000001", "1.0000002"), True),
        (("basal  cell", "basal cell"), None),
        (("a", "A"), True),
        (("1", "2"), True),
        (("10", "1"), True),
    ],
)
def test_classes_that_are_spelt_in_two_ways_are_refused(root, names, is_read):
    data = write(root)
    text = (root / "labels.csv").read_text()
    text = text.replace(",a", f',"{names[0]}"').replace(",b", f',"{names[1]}"')
    (root / "labels.csv").write_text(text, encoding="utf-8")
    if is_read:
        assert set(load(data).classes) == set(names)
        return
    sentence = (
        "differ in case, zeros, blanks or"
        if is_read is False
        else ("one class")
    )
    with pytest.raises(ValueError, match=sentence) as error:
        load(data)
    assert all(name in str(error.value) for name in names[1:])


@pytest.mark.parametrize("names", [("1", "1.0"), ("P1", "p1"), ("07", "7")])
def test_groups_that_are_spelt_in_two_ways_are_refused(root, names):
    lines = [f"{n},{'ab'[at % 2]},{names[at % 2]}"
             for at, n in enumerate(NAMES)]  # fmt: skip
    path = root / "groups.csv"
    path.write_text("\n".join(["path,label,group", *lines]))
    with pytest.raises(ValueError, match="one spelling of a group"):
        load(f"csv:{path}", root="imgs")


SPLITS = [("train", "val", "test")[at // 2 % 3] for at in range(NUM)]


def write_more(root, header, cells):
    """Writes a table with one more column; paths are of `imgs`."""
    lines = [f"{n},{'ab'[at % 2]},{cells[at]}" for at, n in enumerate(NAMES)]
    path = root / "more.csv"
    path.write_text("\n".join([f"path,label,{header}", *lines]))
    return f"csv:{path}"


@pytest.mark.parametrize("name", ["Split", "subset", "phase"])
def test_splits_in_a_column_that_is_not_read_are_refused(root, name):
    data = write_more(root, name, SPLITS)
    sentence = f'Say split = "{name}" in the table'
    with pytest.raises(ValueError, match=sentence):
        load(data, root="imgs")
    given = load(data, root="imgs", split=name)
    assert "Split as given: train 4, val 2, test 2." in given.notes
    assert "Split drawn" in load(data, root="imgs", split="").notes[0]


def test_one_hot_labels_are_named_with_what_to_do(root):
    lines = [f"{n},{at % 2}.0,{1 - at % 2}.0" for at, n in enumerate(NAMES)]
    path = root / "one_hot.csv"
    path.write_text("\n".join(["image,MEL,NV", *lines]))
    for options in ({}, {"path": "image"}):
        with pytest.raises(ValueError, match="MEL, NV look like one-hot"):
            load(f"csv:{path}", root="imgs", **options)
    path.write_text("\n".join(["image,MEL,NV", *lines, "9.png,1,1"]))
    with pytest.raises(ValueError, match="Unknown column") as error:
        load(f"csv:{path}", root="imgs", path="image")
    assert "one-hot" not in str(error.value)


def test_groups_in_a_column_that_is_not_read_are_told(root):
    groups = [at // 2 for at in range(NUM)]
    with pytest.raises(ValueError, match='Say group = "Group" in'):
        load(write_more(root, "Group", groups), root="imgs")
    data = write_more(root, "patient_id", groups)
    (note,) = load(data, root="imgs").notes[1:]
    assert note.startswith("The column `patient_id` is not read: images that")
    notes = load(data, root="imgs", group="patient_id").notes
    assert "not read" not in " ".join(notes)
    assert len(load(data, root="imgs", group="").notes) == 1
    single = write_more(root, "patient_id", range(NUM))
    assert len(load(single, root="imgs").notes) == 1


@pytest.mark.parametrize("between", ["|", ";", " + "])
def test_a_class_that_names_several_others_is_refused(root, between):
    data = write(root)
    path = root / "labels.csv"
    text = path.read_text().replace("7.png,b", f'7.png,"a{between}b"')
    path.write_text(text.replace("6.png,a", '6.png,"a|c"'))
    with pytest.raises(ValueError, match="names several others: 'a', 'b'."):
        load(data)


@pytest.mark.parametrize(
    ("folder", "found", "way_out"),
    [
        ("", "0.png", 'imgs/0.png, so say root = "imgs"'),
        ("imgs", "imgs/0.png", '../imgs/0.png, so say root = ".."'),
    ],
)
def test_files_in_a_folder_nearby_are_found(root, folder, found, way_out):
    path = root / folder / "near.csv"
    path.write_text(f"path,label\n{found},a\n{found[:-5]}1.png,b\n")
    with pytest.raises(ValueError, match=f"no such file; there is {way_out}"):
        load(f"csv:{path}")


def test_groups_in_several_given_splits_are_told(root):
    lines = [f"{n},{'ab'[at % 2]},{('train', 'val', 'test')[at // 2 % 3]},P1"
             for at, n in enumerate(NAMES)]  # fmt: skip
    path = root / "torn.csv"
    path.write_text("\n".join(["path,label,split,group", *lines]))
    notes = " ".join(load(f"csv:{path}", root="imgs").notes)
    assert "1 group is in several splits" in notes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('path,label\n0.png,"a\n1.png,b', "quotes in pairs"),
        (f'path,label\n0.png,"{"x" * 140_000}"', "at most 131,072 characters"),
        ("path,label\n0.png,a".encode("utf-16-le"), "UTF-16 with a mark"),
    ],
)
def test_what_is_no_csv_has_a_way_out(root, text, sentence):
    path = root / "no.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=sentence):
        load(f"csv:{path}")


@pytest.mark.parametrize(
    "options", [{"val": math.nan}, {"test": math.nan}, {"split_seed": -1}]
)
def test_shares_and_seeds_of_a_split_are_numbers(options):
    with pytest.raises(ValueError, match="Received"):
        make_canonical("folder:cells", options)


def test_a_strip_keeps_a_pixel_and_its_name(root):
    make_image(0, shape=(3, 900)).save(root / "imgs" / "strip.png")
    data = write(root, "imgs/strip.png,a")
    dataset = load(data)
    sizes = {row["path"]: row["width"] for row in describe_rows(data, 8, {})}
    assert sizes["imgs/strip.png"] == "900"
    rows = [np.asarray(s.images).any(axis=(2, 3)).sum(axis=1)
            for s in dataset.splits.values()]  # fmt: skip
    assert 1 in np.concatenate(rows)
