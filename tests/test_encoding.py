"""Text is UTF-8, whatever the system's own encoding is."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from own_images import make_image

import medzoo as package
from medzoo.store import Store

FILES = sorted(Path(package.__file__).parent.rglob("*.py"))
TEXTS = {"read_text", "write_text"}
# Objects whose methods are called alike.
OTHERS = {"os", "Image", "_archive", "store", "_store", "into", "archive"}
OTHERS |= {"webbrowser"}


def name_of(call):
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return getattr(function, "id", "")


def find_mode(call):
    """Returns the code of the mode of `open`, of a path or of its name."""
    modes = [each.value for each in call.keywords if each.arg == "mode"]
    at = 0 if isinstance(call.func, ast.Attribute) else 1
    modes += call.args[at : at + 1]
    return ast.unparse(modes[0]) if modes else "r"


def lacks_encoding(call):
    """Whether a call reads or writes text in the system's encoding."""
    given = {each.arg for each in call.keywords}
    name = name_of(call)
    owner = getattr(call.func, "value", None)
    owner = getattr(owner, "attr", getattr(owner, "id", "path"))
    if "encoding" in given or owner in OTHERS:
        return False
    if name in ("run", "Popen", "check_output"):
        return bool({"text", "universal_newlines"} & given)
    is_open = name in ("open", "fdopen") and "b" not in find_mode(call)
    return is_open or name in TEXTS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_text_file_is_opened_as_utf_8(path):
    tree = ast.parse(path.read_bytes())
    found = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and lacks_encoding(node)
    ]
    assert not found, path


@pytest.fixture
def run_in_ascii(tmp_path):
    """Runs a command where text is ASCII, on images of accented classes.

    It stands for CP1252, which few machines have installed.
    """
    lines = ["path,label"]
    for at in range(24):
        make_image(at).save(tmp_path / f"{at:02}.png")
        lines.append(f"{at:02}.png,{('größe', 'naïve')[at % 2]}")
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    names = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "medzoo", *arguments],
            env={**os.environ, **names, "MEDZOO_RUNS": "runs"},
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode("utf-8")

    return run


def test_data_are_explored_where_text_is_not_utf_8(tmp_path, run_in_ascii):
    assert "größe" in run_in_ascii("explore", "csv:list.csv", "--out", "found")
    (page,) = (tmp_path / "found").rglob("*.html")
    assert "größe" in page.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(
    sys.getfilesystemencoding() != "utf-8", reason="names are no UTF-8 here"
)
def test_names_that_are_not_utf_8_keep_their_bytes(
    tmp_path, medzoo, monkeypatch
):
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")  # Escapes for pytest.
    names = []
    for at in range(24):
        name = b"scans/%s/f\xfcr-%d.png" % ((b"gr\xf6\xdfe", b"a")[at % 2], at)
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        make_image(at).save(path)
        names.append(name)
    fields = ["--set", "size=12", "--set", "steps=2", "--set", "batch_size=8"]
    data = ["--data", "folder:scans", "--model", "mlp"]
    medzoo("train", *data, *fields, "--set", "width=8", "--out", "model")
    medzoo("evaluate", "model")
    medzoo("predict", "model", "scans", "--out", "found.csv")
    header, *rows = (tmp_path / "found.csv").read_bytes().splitlines()
    assert header == b"image,predicted,a,gr\xf6\xdfe"
    assert sorted(row.split(b",")[0] for row in rows) == sorted(names)
    medzoo("explore", "model")
    medzoo("audit", "scans")
    lines = [b"path,label", *(b"%s,%d" % (name, 1) for name in names[1:])]
    lines.append(names[0] + b",0")
    (tmp_path / "list.csv").write_bytes(b"\n".join(lines))
    medzoo("predict", "model", "list.csv", "--out", "again.csv")
    again = (tmp_path / "again.csv").read_bytes().splitlines()
    assert sorted(again) == sorted([header, *rows])
    medzoo("card", "model", "--out", "card.md")
    # What is read by people is UTF-8 all the same.
    pages = [
        *(tmp_path / "results").rglob("explore.html"),
        tmp_path / "card.md",
    ]
    for page in [*pages, tmp_path / "model" / "record.json"]:
        text = page.read_text(encoding="utf-8").replace("\\\\", "\\")
        assert "gr\\udcf6\\udcdfe" in text
    (run_id,) = Store().run_ids()
    assert Store().read(run_id).classes[1] == os.fsdecode(b"gr\xf6\xdfe")


@pytest.mark.slow
def test_commands_work_where_text_is_not_utf_8(tmp_path, run_in_ascii):
    fields = ["--set", "size=12", "--set", "steps=2", "--set", "batch_size=8"]
    data = ["--data", "csv:list.csv", "--model", "mlp"]
    run_in_ascii("train", *data, *fields, "--out", "model")
    printed = run_in_ascii("predict", "model", "list.csv")
    assert printed.splitlines()[0] == "image,predicted,größe,naïve"
    run_in_ascii("card", "model", "--out", "card.md")
    assert "größe" in (tmp_path / "card.md").read_text(encoding="utf-8")
