"""Documentation: links lead somewhere, and what it shows works."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from own_images import make_folder, make_image
from own_masks import make_masks
from typer.testing import CliRunner

from medzoo.cli import app
from medzoo.runs.run import Run
from medzoo.search.search_file import read_search
from medzoo.study.document import Document
from medzoo.study.spec import read_study

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TEXTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + PAGES
MAKEFILE = (ROOT / "Makefile").read_text()
# A line that says why a block is not run, and a block with its language.
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>needs data|minutes) -->\n)?^```(?P<language>\w+)"
    r'(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
# What a page that is made from the code must have besides its text.
GENERATED = re.compile(r"<!-- generated: (\w+) -->")
# A study around a block of TOML that shows a part of one.
AROUND = {"question": "?", "trials": [{"loss": "soft_f1"}]}


def read_reference():
    """Imports the script that makes pages from the code."""
    path = ROOT / "scripts" / "make_reference.py"
    spec = importlib.util.spec_from_file_location("make_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(path):
    """Lists the blocks of a page: mark, language, title and text."""
    return [match.groupdict() for match in BLOCK.finditer(path.read_text())]


def commands(text):
    """Yields the commands of a block of bash, without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def anchors(path):
    """Lists the anchors of a page, as MkDocs and code hosts make them."""
    text = BLOCK.sub("", path.read_text())
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {title.strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(path):
    text = BLOCK.sub("", path.read_text())
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("http") or link == "study.schema.json":
            continue
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), link
        # The site is built of that folder alone.
        assert path.parent != DOCS or not target.startswith("../"), link
        assert not anchor or anchor in anchors(found), link


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


def test_every_page_is_in_the_navigation():
    listed = re.findall(
        r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE
    )
    assert sorted(listed) == [path.name for path in PAGES]


def test_lists_of_files_stay_in_a_room_until_they_leave_it():
    text = (ROOT / "docs" / "architecture.md").read_text()
    ways = re.findall(r"^## The way.*?(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert len(ways) == 2
    for way in ways:
        files = re.findall(r"^\d+\. `([^`]+)`", way, re.MULTILINE)
        assert all((ROOT / name).is_file() for name in files)
        assert len(files) == len(set(files)) < 47
        rooms = [Path(name).parts[1] for name in files]
        visits = [
            r
            for r, last in zip(rooms, [None, *rooms], strict=False)
            if r != last
        ]
        assert len(visits) == len(set(visits)), visits


def test_documented_names_of_the_api_are_there():
    names = re.findall(
        r"^::: (\S+)$", (ROOT / "docs" / "python.md").read_text(), re.MULTILINE
    )
    for name in names:
        path = ROOT / f"{name.replace('.', '/')}.py"
        if not path.is_file():
            module, _, member = name.rpartition(".")
            text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
            assert re.search(rf"^(def|class) {member}\b", text, re.MULTILINE)


def test_commands_have_those_arguments():
    reference = dict(read_reference().list_commands())
    seen = 0
    for path in TEXTS:
        for block in blocks(path):
            if block["language"] != "bash":
                continue
            for words in commands(block["text"]):
                if words[0] == "medzoo" and words[1:] != ["--help"]:
                    check_command(reference, words)
                elif words[0] == "make":
                    check_make(words)
                seen += 1
    assert seen > 50


def test_help_shows_no_types_of_flags_and_ends_with_examples():
    reference = dict(read_reference().list_commands())
    for name, command in reference.items():
        if not command.callback.__module__.startswith("medzoo."):
            continue  # Of another test.
        text = CliRunner().invoke(app, [*name.split()[1:], "--help"]).output
        assert "<bool>" not in text
        title, *examples = command.epilog.splitlines()
        assert title in ("Example:", "Examples:")
        assert examples
        for example in examples:
            assert example.startswith(name)
            check_command(reference, example.split())


def check_command(reference, words):
    """Parses a command without calling it."""
    name = " ".join(words[:3])
    name = name if name in reference else " ".join(words[:2])
    rest = words[len(name.split()) :]
    reference[name].make_context(name, rest)


def check_make(words):
    """Looks up target and variables of a call of make."""
    target, *given = words[1:]
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), words
    for variable in given:
        assert f"$({variable.partition('=')[0]})" in MAKEFILE, words


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_toml_is_read(path, tmp_path):
    for block in blocks(path):
        if block["title"]:
            (tmp_path / block["title"]).write_text(block["text"])
        if block["language"] == "toml":
            check_toml(block, tmp_path)


def check_toml(block, folder):
    """Reads a study, a search, a run, or a part of a study."""
    values = tomllib.loads(block["text"])
    file = folder / (block["title"] or "part.toml")
    file.write_text(block["text"])
    if "space" in values:
        read_search(file)
    elif "question" in values:
        read_study(file)
    elif "task" in values:
        own = {k: v for k, v in values.items() if k in Run.model_fields}
        Run(**own, options={k: v for k, v in values.items() if k not in own})
    else:
        Document.model_validate(AROUND | values)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder with the images that pages speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MEDZOO_DATA", str(tmp_path / "data"))
    make_folder(tmp_path / "cells")
    make_masks(tmp_path / "lesions")
    (tmp_path / "scans").mkdir()
    for index in range(2):
        image = make_image(index, shape=(28, 28))
        image.save(tmp_path / "scans" / f"{index}.png")
    return tmp_path


# A run trains with one thread in this process, and its images are tiny.
@pytest.mark.parametrize(
    "path", [p for p in TEXTS if p.name != "README.md"], ids=lambda p: p.name
)
def test_what_a_page_shows_works(path, folder):
    run_blocks(path, folder, marks={None})


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_a_page_shows_and_takes_minutes_works(path, folder):
    run_blocks(path, folder, marks={None, "minutes"})


def run_blocks(path, folder, *, marks):
    """Does what a page shows, in its order."""
    names = {}
    for block in blocks(path):
        if block["title"]:
            (folder / block["title"]).write_text(block["text"])
        if block["mark"] not in marks:
            continue
        if block["language"] == "bash":
            for words in commands(block["text"]):
                if words[0] == "medzoo":
                    run_command(words[1:])
        elif block["language"] == "python" and not block["title"]:
            exec(compile(block["text"], str(path), "exec"), names)


def run_command(words):
    """Calls a command in this process."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (words, result.output, result.exception)


def test_made_pages_know_every_key_and_field():
    reference = read_reference()
    for name in reference.PAGES:
        assert reference.PAGES[name]().count("\n") > 10
    used = [n for path in PAGES for n in GENERATED.findall(path.read_text())]
    assert sorted(used) == sorted(reference.PAGES)


def test_numbers_of_the_readme_are_those_of_the_tables():
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^(\| \[\w+\]\((results/\S+)\).*)$", text, re.MULTILINE)
    assert len(rows) == 9
    for line, path in rows:
        summary = " ".join((ROOT / path).read_text().split())
        cells = line.split("|")[2:-1]
        found = re.findall(r"p = 0\.\d+", line)
        found += [cells[3].strip()] if len(cells) > 1 else []
        for number in found:
            assert number in summary, line


def test_the_site_is_made_where_neither_numpy_nor_keras_is():
    """As in the environment of `make docs`."""
    code = (
        "import sys; sys.modules |= dict.fromkeys(('numpy', 'keras'));"
        "import make_reference; from medzoo.study.schema import format_schema;"
        "pages = [make() for make in make_reference.PAGES.values()];"
        "assert all(pages) and format_schema()"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"},
    )
