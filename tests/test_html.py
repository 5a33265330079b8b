"""The page, in a real browser where there is one."""

import csv
import html
import io
import json
import re
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from page_records import make_drawn, make_widths, report_on
from report_records import make_record
from search_records import read

from medzoo.record import Robustness
from medzoo.report.html import make_html
from medzoo.report.index import make_index
from medzoo.report.search import write_search
from medzoo.search.candidates import Tried
from medzoo.study.expand import expand
from medzoo.study.trials import Trial
from medzoo.tasks import NAMES

ATTACK = "</script><script>document.title = 'attacked'</script><b>&amp;"
ROWS = "[...document.querySelectorAll('#{} tbody tr')]"
CHARTS = "document.querySelectorAll('svg[role=img]').length"


def embedded(page):
    """Reads the data of a page as a browser would."""
    text = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1]
    return json.loads(text)


@pytest.fixture(scope="module")
def study():
    return make_widths(4)


@pytest.fixture(scope="module")
def page(study, tmp_path_factory):
    """The path of a page whose best trial has a failed run beside it."""
    folder = tmp_path_factory.mktemp("page")
    records, predictions = make_drawn(study)
    run = next(r for t, r in expand(study) if t.name == "width 11")
    error = {"type": "ValueError", "message": "Boom.", "traceback": "line 7"}
    records[run.run_id] = make_record(run, status="failed", error=error)
    command = "make study NAME=toy"
    found = report_on(
        study, folder / "runs", records, predictions, command=command
    )
    path = folder / "toy" / "report.html"
    path.parent.mkdir()
    path.write_text(make_html(found), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: chromium)")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def opened(browser, page):
    browser.open(page)
    return browser


def column(browser, table, index):
    """Reads the texts of a column."""
    return browser.run(
        ROWS.format(table) + f".map(r => r.cells[{index}].textContent)"
    )


def sort(browser, table, index):
    """Clicks on the name of a column."""
    browser.run(
        f"document.querySelectorAll('#{table} th button')[{index}].click()"
    )


def filter_by(browser, table, text):
    """Types a text into the filter of a table."""
    browser.run(
        f"(() => {{ const box = document.querySelector('#{table} input');"
        f"box.value = {json.dumps(text)};"
        "box.dispatchEvent(new Event('input')); })()"
    )


def test_page_needs_no_network(page):
    text = page.read_text()
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", text)
    assert "default-src 'none'" in text


def test_page_holds_what_was_asked_and_what_came_of_it(study, page):
    text = page.read_text()
    data = embedded(text)
    assert "make study NAME=toy" in text
    assert "keras 3.15.0" in text
    assert "drawn:breastmnist" in text
    assert len(data["runs"]["rows"]) == len(expand(study))
    assert data["failures"][0]["message"] == "ValueError: Boom."
    assert data["failures"][0]["traceback"] == "line 7"
    assert len(data["histories"]) == len(expand(study)) - 1


def test_same_records_give_the_same_page(tmp_path):
    study = make_widths(2, tasks=NAMES[:1])
    found = report_on(study, tmp_path)
    assert make_html(found) == make_html(found)


def test_page_opens_without_complaint(opened):
    opened.run("1")
    assert opened.complaints == []
    assert opened.run(CHARTS) == 8


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_nothing_is_wider_than_the_window(opened, page, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1}
    opened.call("Emulation.setDeviceMetricsOverride", mobile=False, **size)
    opened.open(page)
    assert opened.run("document.documentElement.scrollWidth") <= width
    # Texts end where their chart ends.
    outside = """[...document.querySelectorAll('svg text')].filter(t => {
      const [a, b] = [t, t.closest('svg')].map(e => e.getBoundingClientRect());
      return a.left < b.left - 1 || a.right > b.right + 1;
    }).map(t => t.textContent)"""
    assert opened.run(outside) == []
    opened.call("Emulation.clearDeviceMetricsOverride")


def resize(browser, width):
    """Makes the window as wide as that, and waits until it is."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1}
    browser.call("Emulation.setDeviceMetricsOverride", mobile=False, **size)
    drawn = "new Promise(r => requestAnimationFrame(() => setTimeout(r)))"
    browser.call("Runtime.evaluate", expression=drawn, awaitPromise=True)


def test_texts_of_charts_keep_their_size_in_a_smaller_window(opened):
    shares = """[...document.querySelectorAll('svg[role=img]')].map(s =>
      s.getBoundingClientRect().width / s.viewBox.baseVal.width)"""
    resize(opened, 400)
    opened.run(ROWS.format("runs") + "[0].click()")
    found = opened.run(shares)
    opened.call("Emulation.clearDeviceMetricsOverride")
    assert len(found) == 10
    assert min(found) > 0.97


def test_a_chart_has_its_numbers_behind_it(opened, page):
    trial = embedded(page.read_text())["trials"][0]
    opened.run("document.querySelector('#scores summary').click()")
    row = "[...document.querySelector('#scores tbody tr').cells]"
    cells = opened.run(f"{row}.map(c => c.textContent)")
    score = next(iter(trial["scores"].values()))
    numbers = [score["mean"], score["low"], score["high"]]
    assert cells[0] == trial["name"]
    assert [float(c) for c in cells[1:]] == pytest.approx(numbers, abs=6e-4)


def test_pairs_show_who_is_better(opened):
    cells = opened.run(
        "[...document.querySelectorAll('#pairs tbody tr')]"
        ".map(r => [...r.querySelectorAll('td')].map(c => c.textContent))"
    )
    assert len(cells) >= 3
    for at, row in enumerate(cells):
        assert row[at] == ""
    assert cells[0][1].startswith("+")
    assert cells[1][0] == cells[0][1].replace("+", "\u2212")


def test_table_of_trials_sorts_both_ways(opened):
    sort(opened, "trials", 0)
    assert column(opened, "trials", 0) == [f"width {n}" for n in (10, 11, 8, 9)]
    sort(opened, "trials", 0)
    assert column(opened, "trials", 0) == [f"width {n}" for n in (9, 8, 11, 10)]


def test_empty_cells_come_last_in_both_directions(opened):
    for _ in range(2):
        sort(opened, "runs", 5)
        assert column(opened, "runs", 5)[-1] == ""


def test_numbers_sort_as_numbers(opened):
    sort(opened, "runs", 9)
    seconds = [float(text) for text in column(opened, "runs", 9) if text]
    assert seconds == sorted(seconds, reverse=True)


def test_table_of_runs_filters_by_words(opened, study):
    filter_by(opened, "runs", "retinamnist done")
    assert set(column(opened, "runs", 1)) == {"retinamnist"}
    filter_by(opened, "runs", "FAILED")
    assert column(opened, "runs", 3) == ["failed"]
    filter_by(opened, "runs", "no such run")
    assert column(opened, "runs", 0) == []
    filter_by(opened, "runs", "")
    assert len(column(opened, "runs", 0)) == len(expand(study))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("width", 4),
        ("width=9", 1),
        ('width="9"', 1),
        ("WIDTH=9 width", 1),
        ('"width 9"', 1),
        ('"9"', 1),
        ('"width"', 0),
        ("trial=width", 0),
        ("width=", 4),
        ('width="', 4),
        ("no_column=9", 0),
    ],
)
def test_filter_finds_words_and_whole_cells(opened, text, rows):
    filter_by(opened, "trials", text)
    assert len(column(opened, "trials", 0)) == rows


def address(browser):
    """Waits for the address, which follows a moment later, and returns it."""
    script = "new Promise(r => setTimeout(() => r(location.hash), 200))"
    found = browser.call(
        "Runtime.evaluate", expression=script, awaitPromise=True
    )
    return found["result"]["value"]


STATE = """[
  ...["trials", "runs"].map(id => document.getElementById(id).innerText),
  ...[...document.querySelectorAll("select")].map(s => s.value),
  document.getElementById("opened").open,
  document.getElementById("opened").innerText,
  document.querySelectorAll("[aria-pressed=true]").length,
  document.querySelectorAll("tbody input:checked").length,
]"""


def test_address_keeps_what_is_sorted_filtered_chosen_and_open(opened, page):
    sort(opened, "trials", 2)
    filter_by(opened, "runs", "seed=0 width")
    ticks = "document.querySelectorAll('#trials .columns input')"
    opened.run(f"{ticks}[1].click()")
    opened.run(f"[...{ticks}].at(-1).click()")
    opened.run(
        "for (const box of document.querySelectorAll('select')) {"
        "box.selectedIndex = 1; box.onchange(); }"
    )
    opened.run("document.querySelector('#curves .legend button').click()")
    opened.run("document.querySelector('#trials tbody input').click()")
    opened.run(ROWS.format("runs") + "[1].click()")
    kept, before = address(opened), opened.run(STATE)
    opened.open(page)
    assert opened.run(STATE) != before
    opened.open(page, kept.removeprefix("#"))
    assert opened.run(STATE) == before
    opened.run("document.querySelector('#close').click()")
    assert "open" not in address(opened)
    assert opened.complaints == []


def test_address_may_be_written_while_the_page_is_open(opened):
    opened.run("location.hash = 'runs.filter=failed&trials.columns=runs'")
    address(opened)
    assert column(opened, "runs", 3) == ["failed"]
    shown = (
        "[...document.querySelectorAll('#trials th')].filter(c => !c.hidden)"
    )
    names = opened.run(f"{shown}.map(c => c.textContent)")
    assert names == ["trial", "runs"]


@pytest.mark.parametrize(
    "bad",
    [
        "&&==#%zz%ff",
        "task=nothing&score=__proto__&against=%00",
        "trials.sort=nothing&trials.order=9&trials.columns=no+such",
        "open=nothing&curve=width+8&curve=nothing",
        "runs.sort=toString&runs.order=down&runs.columns=,,+",
    ],
)
def test_bad_address_breaks_nothing(opened, page, bad):
    opened.open(page, bad)
    assert opened.complaints == []
    assert len(column(opened, "trials", 0)) == 4
    assert opened.run(CHARTS) == 8
    assert not opened.run("document.querySelector('#opened').open")


def test_a_click_on_a_run_shows_its_curve(opened):
    opened.run(ROWS.format("runs") + "[0].click()")
    assert opened.run("document.querySelector('#opened').open")
    assert (
        opened.run("document.querySelectorAll('#opened svg path').length") == 6
    )
    title = opened.run("document.querySelector('#opened-title').textContent")
    assert title == "width 8, breastmnist, seed 0"
    opened.run("document.querySelector('#close').click()")
    assert not opened.run("document.querySelector('#opened').open")
    assert opened.complaints == []


def press(browser, key, text):
    """Presses and releases a key."""
    for kind in ("keyDown", "keyUp"):
        typed = {"text": text} if kind == "keyDown" else {}
        code = {"windowsVirtualKeyCode": ord(text), "code": key}
        name = {"key": text if text == " " else key}
        browser.call(
            "Input.dispatchKeyEvent", type=kind, **name, **code, **typed
        )


@pytest.mark.parametrize(("key", "text"), [("Enter", "\r"), ("Space", " ")])
def test_a_run_opens_by_keyboard_and_stays_open(opened, key, text):
    button = "document.querySelector('#runs tbody button')"
    opened.run(f"{button}.focus()")
    press(opened, key, text)
    assert opened.run("document.querySelector('#opened').open")
    # The dialog's first button has the focus now, and closes it.
    press(opened, key, text)
    assert not opened.run("document.querySelector('#opened').open")
    assert opened.run(f"document.activeElement === {button}")


def test_a_trial_opens_with_its_classes_and_curves(opened, page):
    data = embedded(page.read_text())
    opened.run(ROWS.format("trials") + "[3].click()")
    trial = column(opened, "trials", 0)[3]
    title = "document.querySelector('#opened-title').textContent"
    assert opened.run(title) == trial
    shown = opened.run(
        "[...document.querySelectorAll('#opened .matrix tbody tr')]"
        ".map(r => Number([...r.cells].at(-1).textContent))"
    )
    held = data["confusions"]
    f1 = next(c["f1"] for c in held if c["trial"] == trial)
    assert shown == pytest.approx(f1, abs=6e-3)
    titles = "[...document.querySelectorAll('#opened svg[role=img]')]"
    names = opened.run(f"{titles}.map(s => s.ariaLabel)")
    assert "sensitivity against 1 \u2212 specificity" in names
    assert "accuracy against confidence" in names
    assert "Failures to look at" in opened.run(
        "document.querySelector('#opened').innerText"
    )


def focus(browser):
    """Describes what has the focus."""
    return browser.run(
        "(e => e === document.body ? null : [e.tagName, e.value ?? '',"
        "e.textContent, e.ariaLabel ?? ''].join('|'))(document.activeElement)"
    )


def test_trials_are_laid_side_by_side_by_keyboard_alone(opened, page):
    opened.run("document.querySelector('#trials input[type=search]').focus()")
    for _ in range(2):
        while "|Compare " not in focus(opened):
            press(opened, "Tab", "\t")
        press(opened, "Space", " ")
        press(opened, "Tab", "\t")
    opened.run("document.querySelector('#trials tbody input:checked').focus()")
    press(opened, "Enter", "\r")
    title = "document.querySelector('#opened-title').textContent"
    assert opened.run(title) == "2 side by side"
    trials = column(opened, "trials", 0)[:2]
    legend = "[...document.querySelectorAll('#opened .legend > span')]"
    assert opened.run(f"{legend}.map(k => k.textContent)") == trials
    # A band, a line and what the pointer feels, of each.
    paths = "document.querySelectorAll('#opened svg[role=img]')[0]"
    assert opened.run(f"{paths}.querySelectorAll('path').length") == 6
    kept = address(opened)
    opened.open(page, kept.removeprefix("#") + "&open=no+such+trial")
    assert opened.run(title) == "2 side by side"
    ticked = "document.querySelectorAll('#trials tbody input:checked').length"
    assert opened.run(ticked) == 2
    press(opened, "Enter", "\r")
    assert not opened.run("document.querySelector('#opened').open")
    assert opened.complaints == []


def test_runs_lie_side_by_side_with_what_differs_first(opened):
    opened.run(
        "[...document.querySelectorAll('#runs tbody input')].slice(0, 3)"
        ".forEach(tick => tick.click())"
    )
    opened.run(
        "[...document.querySelectorAll('#runs button')]"
        ".find(b => b.textContent === 'Compare 3 side by side').click()"
    )
    rows = opened.run(
        "[...document.querySelector('#opened .numbers.all tbody').rows]"
        ".map(r => [...r.cells].map(c => c.textContent))"
    )
    differ = [len(set(row[1:])) > 1 for row in rows]
    assert differ == sorted(differ, reverse=True)
    assert 0 < sum(differ) < len(differ)
    assert opened.complaints == []


def test_every_control_is_reached_by_keyboard(opened):
    seen = []
    press(opened, "Tab", "\t")
    while (found := focus(opened)) and len(seen) < 200:
        seen.append(found)
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert opened.run(outline) != "none"
        press(opened, "Tab", "\t")
    owed = opened.run(
        "[...document.querySelectorAll('main :is(button, input, select, a,"
        " summary, .scroll)')].filter(e => e.checkVisibility() &&"
        " !e.closest('dialog')).length"
    )
    assert 60 < owed <= len(seen) < 200


def make_grid(folder):
    """Makes the page of a study of two axes."""
    trials = tuple(
        Trial(f"{width}, {rate}", {"width": width, "learning_rate": rate})
        for width in (8, 16)
        for rate in (0.001, 0.01)
    )
    axes = ("width", "learning_rate")
    study = make_widths(
        4, trials=trials, axis_names=axes, baseline=trials[0], tasks=NAMES[:1]
    )
    path = folder / "report.html"
    found = make_html(report_on(study, folder / "runs"))
    path.write_text(found, encoding="utf-8")
    return path


def test_a_trial_stands_out_among_parallel_coordinates(browser, tmp_path):
    browser.open(make_grid(tmp_path))
    box = "document.querySelector('#parallel')"
    strong = f"{box}.querySelectorAll('path[stroke-width=\"4\"]').length"
    said = f"{box}.querySelector('[role=status]').textContent"
    assert (browser.run(strong), browser.run(said)) == (0, "")
    browser.run(f"{box}.querySelector('select').focus()")
    for key, code in (("ArrowDown", 40), ("ArrowDown", 40)):
        name = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, **name)
    chosen = browser.run(f"{box}.querySelector('select').value")
    assert browser.run(strong) == 1
    assert browser.run(said).startswith(f"{chosen}: width ")
    assert "highlight=" in address(browser)
    lines = f"[...{box}.querySelectorAll('path[opacity]')]"
    browser.run(f"{lines}[3].dispatchEvent(new PointerEvent('pointerenter'))")
    assert browser.run(strong) == 1
    assert not browser.run(said).startswith(chosen)
    browser.run(f"{lines}[3].dispatchEvent(new PointerEvent('pointerleave'))")
    assert browser.run(said).startswith(chosen)
    assert browser.complaints == []


def test_errors_by_severity_are_drawn(browser, tmp_path):
    study = make_widths(3, tasks=NAMES[:1], corruptions=True)
    records, predictions = make_drawn(study)
    kinds, errors = np.array(["jpeg"]), np.linspace(0.2, 0.4, 5)[None]
    robust = Robustness(np.array(0.1), kinds, errors)
    for key, found in predictions.items():
        predictions[key] = replace(found, corrupted=robust)
    path = tmp_path / "report.html"
    found = report_on(study, tmp_path / "runs", records, predictions)
    path.write_text(make_html(found), encoding="utf-8")
    browser.open(path)
    box = "document.querySelector('#corruptions')"
    browser.run(f"{box}.querySelector('summary').click()")
    rows = browser.run(
        f"[...{box}.querySelectorAll('tbody tr')].map(r => r.innerText)"
    )
    assert [row.split("\t")[0] for row in rows] == list("012345")
    assert rows[5].count("0.400") == 9
    assert browser.complaints == []


def test_a_search_has_a_page_of_its_candidates(browser, tmp_path):
    values = {"optimizer": "adam", "dropout": 0.2, "loss": "soft_f1"}
    tried = [
        Tried(
            number,
            values | {"learning_rate": 0.00123 * number},
            share=1.0,
            score=None if number == 3 else 0.5 + number / 100,
            seconds=2.0,
            run_ids=(str(number),),
        )
        for number in range(1, 13)
    ]
    report = write_search(read(tmp_path), tried, tmp_path, command="x")
    browser.open(next(p for p in report.paths if p.suffix == ".html"))
    numbers = [*range(12, 3, -1), 2, 1, 3]
    assert column(browser, "candidates", 0) == list(map(str, numbers))
    assert "0.0148" in column(browser, "candidates", 2)
    assert browser.run(CHARTS) == 2
    options = "[...document.querySelectorAll('#parallel option')]"
    assert browser.run(f"{options}.length") == 12
    assert browser.complaints == []


def test_a_click_on_a_failed_run_shows_its_error(opened):
    filter_by(opened, "runs", "failed")
    opened.run(ROWS.format("runs") + "[0].click()")
    shown = opened.run("document.querySelector('#opened pre').textContent")
    assert shown == "line 7"


def test_the_line_of_no_difference_is_inside_of_its_chart(opened):
    line, name = opened.run("""(() => {
      const box = document.body.appendChild(document.createElement('div'));
      const row = {name: 'a trial', values: [], mean: 0.3, low: 0.2, high: 0.4};
      drawDots(box, [{...row, colour: 'red'}], {xName: 'difference', line: 0});
      const text = [...box.querySelectorAll('text')]
        .find(t => t.textContent === 'a trial');
      return [box.querySelector('line[stroke-dasharray]'), text]
        .map(e => e.getBoundingClientRect().right);
    })()""")
    assert line > name


def test_a_click_hides_a_trial_from_the_curves(opened):
    count = "document.querySelectorAll('#curves svg path').length"
    before = opened.run(count)
    opened.run("document.querySelector('#curves .legend button').click()")
    # A band, a line and what the pointer feels, in each of two charts.
    assert opened.run(count) == before - 6


@pytest.fixture
def saved(opened, page, tmp_path):
    """Clicks on a button of a part of the page, and returns the file."""
    opened.call(
        "Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path)
    )

    def save(selector, label):
        opened.run(
            f"[...document.querySelectorAll('{selector} button')]"
            f".find(b => b.textContent === '{label}').click()"
        )
        for _ in range(200):
            files = [p for p in tmp_path.iterdir() if p.suffix in ENDINGS]
            if files:
                text = files[0].read_text(encoding="utf-8")
                name = files[0].name
                files[0].unlink()
                return name, text
            time.sleep(0.02)
        raise AssertionError(f"Nothing was saved. {opened.complaints}")

    return save


ENDINGS = (".csv", ".tex", ".svg", ".bib")


def test_table_is_saved_as_it_is_shown(opened, page, saved):
    sort(opened, "trials", 0)
    filter_by(opened, "trials", "width=8")
    name, text = saved("#trials", "Save CSV")
    assert name == "toy_trials.csv"
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["trial"] for row in rows] == ["width 8"]
    table = embedded(page.read_text())["summary"]
    cells = next(row for row in table["rows"] if row[0] == "width 8")
    mean, half = cells[table["columns"].index("harmonic mean")][:2]
    found = [rows[0][f"harmonic mean{end}"] for end in ("", " low", " high")]
    low, high = mean - half, mean + half
    ends = cells[table["columns"].index("harmonic mean")][2:] or [low, high]
    assert [float(x) for x in found] == pytest.approx([mean, *ends], rel=1e-5)
    assert "mflops" not in rows[0]


def test_table_is_saved_for_a_paper(opened, saved):
    name, text = saved("#trials", "Save LaTeX")
    assert name == "toy_trials.tex"
    lines = text.splitlines()
    assert lines[0].startswith(r"\begin{tabular}{ll")
    assert sum(line.startswith("width ") for line in lines) == 4
    assert r"$\pm$" in text
    assert not re.search("[±−]", text)
    columns = {len(re.findall(r"(?<!\\)&", row)) for row in lines if "&" in row}
    assert len(columns) == 1


def test_charts_are_saved_without_need_of_the_page(opened, saved):
    opened.run("document.querySelector('#scores summary').click()")
    name, score = saved("#scores", "Save SVG")
    assert name.startswith("toy_harmonic_mean")
    opened.run("document.querySelector('#near summary').click()")
    name, calibration = saved("#near", "Save SVG")
    assert name == "toy_accuracy_against_confidence.svg"
    for each in (score, calibration):
        root = ElementTree.fromstring(each)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not re.search("var\\(|class=|style=|currentColor", each)
    assert "width 10" in score
    assert each.count("<svg") == 1


def test_references_are_those_of_the_study(opened, saved):
    text = saved("#references", "Save BibTeX")[1]
    assert "@" in text
    assert "medmnist" in text.lower()


def test_texts_are_copied(opened):
    opened.call("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    shown = opened.run("document.querySelector('#verdict').firstChild.data")
    opened.run("document.querySelector('#verdict button').focus()")
    press(opened, "Enter", "\r")
    script = (
        "new Promise(r => setTimeout(() => r(document.activeElement."
        "nextSibling.textContent), 300))"
    )
    said = opened.call("Runtime.evaluate", expression=script, awaitPromise=True)
    found = opened.call(
        "Runtime.evaluate",
        expression="navigator.clipboard.readText()",
        awaitPromise=True,
    )
    assert found["result"]["value"] == shown
    assert said["result"]["value"] == "Copied."


# Smallest contrast of a text to what is behind it, by WCAG 2.
CONTRAST = """(() => {
  const pen = document.createElement("canvas").getContext("2d");
  const light = (colour) => {
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const shares = [...pen.getImageData(0, 0, 1, 1).data].map(v => v / 255);
    const [r, g, b] = shares.map(v =>
      v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const own = (n) => getComputedStyle(n).backgroundColor;
  const behind = (n) =>
    !n || own(n) !== "rgba(0, 0, 0, 0)" ? own(n ?? document.body)
      : behind(n.parentElement);
  const texts = [...document.querySelectorAll("main *")].filter(n =>
    n.checkVisibility() && !n.closest("svg") && [...n.childNodes].some(c =>
      c.nodeType === 3 && c.textContent.trim()));
  return Math.min(...texts.map(n => {
    const pair = [light(getComputedStyle(n).color), light(behind(n))];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  }));
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(opened, page, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    opened.call("Emulation.setEmulatedMedia", features=[feature])
    opened.open(page)
    opened.run("document.querySelector('#curves .legend button').click()")
    contrast = opened.run(CONTRAST)
    opened.call("Emulation.setEmulatedMedia", features=[])
    assert contrast > 4.5


@pytest.fixture(scope="module")
def axe():
    """The script of axe-core, as a package of Python brings it."""
    package = pytest.importorskip("axe_core_python")
    return Path(package.__file__).with_name("axe.min.js").read_text()


AXE = """axe.run({resultTypes: ["violations"]}).then(found => found.violations
  .filter(v => ["serious", "critical"].includes(v.impact))
  .map(v => [v.id, ...v.nodes.map(n => n.html.slice(0, 200))]))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_axe_finds_nothing_serious(opened, page, axe, scheme, width):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    opened.call("Emulation.setEmulatedMedia", features=[feature])
    resize(opened, width)
    opened.open(page)
    opened.run(axe)
    found = [look(opened)]
    opened.run(
        "for (const box of document.querySelectorAll('main details'))"
        " box.open = true"
    )
    found.append(look(opened))
    opened.run(ROWS.format("runs") + "[0].click()")
    found.append(look(opened))
    opened.call("Emulation.clearDeviceMetricsOverride")
    opened.call("Emulation.setEmulatedMedia", features=[])
    assert found == [[], [], []]


def look(browser):
    """Returns what axe-core finds on the page as it is."""
    found = browser.call(
        "Runtime.evaluate",
        expression=AXE,
        awaitPromise=True,
        returnByValue=True,
    )
    return found["result"]["value"]


def test_paper_holds_every_column(opened):
    paper = {"width": 1047, "height": 718, "deviceScaleFactor": 1}
    opened.call("Emulation.setDeviceMetricsOverride", mobile=False, **paper)
    opened.call("Emulation.setEmulatedMedia", media="print")
    wide = """[...document.querySelectorAll('table')].filter(t =>
      t.getBoundingClientRect().right > innerWidth).length"""
    hidden = """[...document.querySelectorAll('#runs :is(th, td)')].filter(c =>
      c.textContent && !c.innerText.trim()).length"""
    found = opened.run(wide), opened.run(hidden)
    opened.call("Emulation.setEmulatedMedia", media="")
    opened.call("Emulation.clearDeviceMetricsOverride")
    assert found == (0, 0)


def test_button_changes_between_light_and_dark(opened):
    colour = "getComputedStyle(document.body).backgroundColor"
    before = opened.run(colour)
    opened.run("document.querySelector('#theme').click()")
    assert opened.run(colour) != before
    opened.run("document.querySelector('#theme').click()")
    assert opened.run(colour) == before


def make_attack(folder):
    """Makes a page of a study all of whose texts are scripts."""
    trials = tuple(
        Trial(f"{ATTACK}{width}", {"width": width}) for width in (8, 9)
    )
    study = make_widths(
        2,
        trials=trials,
        baseline=trials[1],
        question=ATTACK,
        text=ATTACK,
        tasks=NAMES[:1],
    )
    records, predictions = make_drawn(study)
    run = expand(study)[0].run
    error = {"type": ATTACK, "message": ATTACK, "traceback": ATTACK}
    records[run.run_id] = make_record(run, status="failed", error=error)
    found = report_on(
        study, folder / "runs", records, predictions, command=ATTACK
    )
    return make_html(found), study


def test_texts_never_end_the_data(tmp_path):
    text, study = make_attack(tmp_path)
    assert ATTACK not in text
    assert "<script>document" not in text
    names = {trial["name"] for trial in embedded(text)["trials"]}
    assert names == {trial.name for trial in study.trials}


def test_texts_never_run(browser, tmp_path):
    path = tmp_path / "attack" / "report.html"
    path.parent.mkdir()
    path.write_text(make_attack(tmp_path)[0], encoding="utf-8")
    (tmp_path / "index.html").write_text(make_index(tmp_path))
    for file in (path, tmp_path / "index.html"):
        browser.open(file)
        assert browser.run("document.title") != "attacked"
        assert browser.run("document.querySelectorAll('b').length") == 0
        assert browser.complaints == []
    browser.open(path)
    browser.run(ROWS.format("runs") + "[0].click()")
    assert ATTACK in browser.run(
        "document.querySelector('#opened').textContent"
    )
    assert browser.run("document.title") != "attacked"


@pytest.fixture(scope="module")
def index(page):
    """The path of a list of a study, an older page and a search."""
    out = page.parents[1]
    older = {"question": "", "verdict": "x 0.5. More.", "days": "2026-11-21"}
    older = html.escape(json.dumps(older | _list("an old one", 3)))
    search = json.dumps({"tasks": ["skin"], "value": 0.9} | _list("found", 12))
    texts = {
        "old/report.html": f'<meta name="medzoo" content="{older}">',
        "searches/found/entry.json": search,
    }
    for name, text in texts.items():
        path = out / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    path = out / "index.html"
    path.write_text(make_index(out), encoding="utf-8")
    return path


def _list(name, done):
    return {"name": name, "done": done, "asked": 12}


def test_list_of_studies_leads_to_their_pages(browser, index, page):
    browser.open(index)
    links = "[...document.querySelectorAll('td a')].map(a => a.href)"
    found = browser.run(links)
    assert page.as_uri() in found
    search = index.parent / "searches" / "found" / "summary.md"
    assert search.as_uri() in found
    text = browser.run("document.body.textContent")
    assert "Which optimizer" in text
    best = embedded(page.read_text())["summary"]["rows"][0]
    shown = next(cell for cell in best if isinstance(cell, list))
    # One run has failed, and all have ended.
    assert f"harmonic mean {shown[0]:.3f}" in text
    assert "x 0.5." in text
    assert "More." not in text
    assert browser.complaints == []


def test_list_of_studies_keeps_its_order_in_the_address(browser, index):
    names = ROWS.format("studies") + ".map(r => r.cells[0].textContent)"
    browser.open(index)
    assert browser.run(names) == ["an old one", "toy", "found"]
    browser.run("document.querySelectorAll('#studies th button')[4].focus()")
    press(browser, "Enter", "\r")
    ordered = browser.run(names)
    assert ordered[1:] == ["found", "an old one"]
    kept = address(browser)
    browser.open(index)
    browser.run(f"location.hash = {json.dumps(kept)}")
    address(browser)
    assert browser.run("document.querySelector('[aria-sort]').cellIndex") == 4
    assert browser.run(names) == ordered


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("task=skin", ["found"]),
        ("filter=WHICH+toy", ["toy"]),
        ("sort=name&order=down", ["toy", "found", "an old one"]),
        ("sort=none&task=%ff&filter=%zz", []),
        ("&&=#%zz", ["an old one", "toy", "found"]),
    ],
)
def test_list_of_studies_obeys_an_address(browser, index, asked, names):
    browser.open(index)
    browser.run(f"location.hash = {json.dumps(asked)}")
    address(browser)
    found = browser.run(
        ROWS.format("studies") + ".map(r => r.cells[0].innerText)"
    )
    assert found == names
    assert browser.complaints == []


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_list_of_studies_is_no_wider_than_the_window(browser, index, width):
    browser.open(index)
    resize(browser, width)
    wide = browser.run("document.documentElement.scrollWidth")
    browser.call("Emulation.clearDeviceMetricsOverride")
    assert wide <= width


def test_a_page_of_a_thousand_runs_shows_300_of_them(browser, tmp_path):
    study = make_widths(31, tasks=NAMES, seeds=(0, 1, 2))
    records = {}
    history = [
        {
            "epoch": check + 0.0666,
            "loss": 1 / (1 + check),
            "val_loss": 1.234567 / (1 + check),
            "val_macro_f1": check / 31.4159,
        }
        for check in range(30)
    ]
    for _, run in expand(study):
        value = 0.5 + run.width / 100 + run.seed / 1000
        records[run.run_id] = make_record(run, value, history=history)
    assert len(records) > 1000
    found = report_on(study, tmp_path / "runs", records)
    path = tmp_path / "report.html"
    path.write_text(make_html(found), encoding="utf-8")
    assert path.stat().st_size < 10_000_000
    browser.open(path)
    assert browser.run("document.querySelectorAll('svg').length") >= 4
    assert len(column(browser, "runs", 0)) == 100
    assert browser.complaints == []


def test_package_holds_the_parts_of_the_page():
    root = Path(__file__).parents[1]
    parts = {p.suffix for p in (root / "medzoo/report/page").iterdir()}
    declared = (root / "setup.cfg").read_text()
    assert all(f"**/*{suffix}" in declared for suffix in parts)
