// What records say of one trial or run, or of several side by side. An item has
// a name, a colour and a dash; it is a trial, or a run by its row.

const UNIT = { width: 270, height: 250, unit: true };

// Numbers from 0 to 1, which are packed as 16 bits each; null is unknown.
const unpack = (text) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt());
  return [...new Uint16Array(bytes.buffer)].map((v) =>
    v > 65534 ? null : v / 65534);
};

// Mean, lowest and highest over the seeds that have a value at each epoch.
function overSeeds(histories, measure) {
  const found = new Map();
  for (const history of histories)
    history.epoch.forEach((epoch, i) => {
      const value = history[measure][i];
      if (!found.has(epoch)) found.set(epoch, []);
      if (value !== null) found.get(epoch).push(value);
    });
  const x = [...found.keys()].sort((a, b) => a - b);
  const at = (f) =>
    x.map((epoch) => (found.get(epoch).length ? f(found.get(epoch)) : null));
  const y = at((v) => v.reduce((a, b) => a + b) / v.length);
  if (histories.length === 1) return { x, y };
  return {
    x, y, low: at((v) => Math.min(...v)), high: at((v) => Math.max(...v)),
  };
}

// The curve of an item as a list: empty where its records have none.
function followItem({ trial, row, ...look }, task, measure) {
  const runs = row ? [nameRun(row)] : trial.runs[task] ?? [];
  const known = runs.map((id) => data.histories[id])
    .filter((history) => history?.[measure].some((v) => v !== null));
  return known.length ? [{ ...look, ...overSeeds(known, measure) }] : [];
}

function showHistories(parent, items, task) {
  const box = make(parent, "div", { class: "charts" });
  for (const measure of [data.drawn.key, "val_loss"]) {
    const series = items.flatMap((item) => followItem(item, task, measure));
    let yName = MEASURES[measure];
    if (measure === "val_loss" && items.length === 1 && items[0].row) {
      const look = { ...items[0], colour: "var(--c1)", dash: "7 3" };
      series.push(...followItem(look, task, "loss"));
      yName = "loss (dashed: on train)";
    }
    if (series.length)
      drawCurves(make(box, "div"), series, { xName: "epoch", yName });
  }
  if (!box.children.length)
    box.replaceWith(make(null, "p", { text: "There is no learning curve." }));
}

function drawLegend(parent, series) {
  const box = make(parent, "p", { class: "legend quiet" });
  for (const { name, colour, dash } of series) {
    const key = make(box, "span");
    drawSwatch(key, colour, dash);
    make(key, "span", { text: name });
  }
}

function drawSwatch(parent, stroke, dash) {
  const svg = draw(parent, "svg", {
    class: "swatch", width: 22, height: 8, "aria-hidden": true,
  });
  draw(svg, "path",
    { d: "M0 4h22", stroke, "stroke-width": 3, "stroke-dasharray": dash });
}

// What is held of each of the trials on a task, beside the item.
const hold = (held, items, task) => items.flatMap((item) => {
  const found = held.find((e) => e.trial === item.trial?.name && e.task === task);
  return found ? [{ item, ...found }] : [];
});

function showConfusions(parent, items, task) {
  const found = hold(data.confusions, items, task);
  const names = data.classes[task];
  if (!found.length) return;
  make(parent, "h3", { text: "Classes" });
  const all = make(parent, "div", { class: "charts" });
  for (const { item, counts, f1 } of found) {
    const box = make(all, "div");
    if (items.length > 1) make(box, "p", { text: item.name });
    const sums = counts.map((row) => row.reduce((a, b) => a + b, 0));
    const shares = counts.map((row, r) => [
      ...row.map((n) => (sums[r] ? n / sums[r] : null)), f1[r],
    ]);
    const tell = (r, c) => c === names.length
      ? `F1 of ${names[r]}: ${format(f1[r])}`
      : `${counts[r][c]} of ${sums[r]} images of ${names[r]}\n`
        + `were taken for ${names[c]}`;
    const numbered = names.map((n, i) => (n === String(i) ? n : `${n}  ${i}`));
    const matrix = make(box, "div", { class: "scroll", tabindex: 0 });
    drawMatrix(matrix, numbered, [...names.keys(), "F1"], shares, { tell });
    matrix.firstChild.classList.add("apart");
  }
  if (found.length < 2) return;
  const columns = ["F1 of class", ...found.map(({ item }) => item.name)];
  const rows = names.map((name, i) => [name, ...found.map(({ f1 }) => f1[i])]);
  listNumbers(make(parent, "div", { class: "numbers" }), { columns, rows });
}

const asSeries = (look, x, curve) => {
  const [y, low, high] = ["y", "low", "high"].map((key) =>
    curve[key] && unpack(curve[key]));
  return { ...look, x: x ?? y.map((_, i) => i / (y.length - 1)), y, low, high };
};
const isKnown = (series) => series.y.some((v) => v !== null);

// One trial has a panel for its classes, several have a panel for each class.
function showPoints(parent, items, task) {
  const found = hold(data.points, items, task);
  if (!found.length) return;
  make(parent, "h3", { text: "Calibration and curves" });
  let box = make(parent, "div", { class: "charts" });
  const panel = (series, yName, xName) => {
    const known = series.filter(isKnown);
    if (known.length)
      drawCurves(make(box, "div"), known, { ...UNIT, xName, yName });
  };
  const rough = { colour: "var(--quiet)", dash: "2 3" };
  const ends = [0, 1];
  const right = found.map(({ item, x, calibration }) =>
    asSeries(item, unpack(x), calibration));
  const bins = found.length > 1 ? [] : [{
    ...rough, dash: "7 3", name: "share of images", x: right[0].x,
    y: unpack(found[0].shares),
  }];
  panel([{ ...rough, name: "as right as sure", x: ends, y: ends }, ...right,
    ...bins], "accuracy", "confidence");
  const kinds = [
    ["roc", "sensitivity", "1 \u2212 specificity"],
    ["precision", "precision", "recall"],
  ];
  const names = data.classes[task];
  if (found.length > 1) {
    for (const [kind, yName, xName] of kinds) {
      box = make(parent, "div", { class: "charts" });
      names.forEach((name, c) =>
        panel(found.map((each) => asSeries(each.item, null, each[kind][c])),
          `${yName}, ${name}`, xName));
    }
    return;
  }
  const looks = names.map((name, c) =>
    ({ name, colour: colourOf(c), dash: dashOf(c) }));
  for (const [kind, yName, xName] of kinds)
    panel(looks.map((look, c) => asSeries(look, null, found[0][kind][c])),
      yName, xName);
  drawLegend(parent, looks);
}

function showFailed(parent, items, task) {
  for (const { item, parts } of hold(data.galleries, items, task)) {
    const whose = items.length > 1 ? ` of ${item.name}` : "";
    make(parent, "h3", { text: `Failures to look at${whose}` });
    for (const { title, shots } of parts) {
      make(parent, "h4", { text: title });
      const box = make(parent, "div", { class: "shots" });
      for (const [number, ...lines] of shots) {
        const figure = make(box, "figure", { class: "shot" });
        const src = `data:image/webp;base64,${data.pictures[number]}`;
        if (number !== null)
          make(figure, "img", { src, alt: lines[0], width: 96, height: 96 });
        make(figure, "figcaption", { text: lines.join("\n") });
      }
    }
  }
}

function showTest(parent, items, task) {
  showConfusions(parent, items, task);
  showPoints(parent, items, task);
  showFailed(parent, items, task);
}

// A row of a table as names and texts.
const listCells = ({ columns }, row) => new Map(columns.map((name, i) => [
  name.replaceAll("_", " "), name === "p" ? formatP(row[i]) : format(row[i]),
]));

// Of several, what differs comes first.
function showFacts(parent, items) {
  const cells = items.map(({ trial, row }) => row
    ? listCells(runs, row)
    : listCells(data.summary,
      data.summary.rows.find(([name]) => name === trial.name)));
  const known = new Set(cells.flatMap((each) => [...each.keys()]));
  const names = [...known].slice(1);
  const rows = names.map((name) => [name, ...cells.map((c) => c.get(name) ?? "")]);
  const differs = ([, first, ...others]) => others.some((text) => text !== first);
  rows.sort((a, b) => differs(b) - differs(a));
  const columns = ["", ...items.map((item) => item.name)];
  listNumbers(make(parent, "div", { class: "numbers all" }), { columns, rows });
}

// The trials and runs that the address names; what is unknown is left out.
function findAsked() {
  const found = [...new Set(address.list("open"))].flatMap((name) => {
    const trial = data.trials.find((t) => t.name === name);
    if (trial) return [{ name, trial }];
    const row = runs.rows.find((r) => nameRun(r) === name);
    if (!row) return [];
    const of = (column) => cellOf(row, column);
    return [{ row, name: `${of("trial")}, ${of("task")}, seed ${of("seed")}` }];
  });
  return found.map((item, i) =>
    ({ ...item, colour: colourOf(i), dash: dashOf(i) }));
}

function openAsked() {
  const items = findAsked();
  const dialog = part("opened");
  if (!items.length) return dialog.close();
  // Open first, as charts ask how much room there is.
  if (!dialog.open) dialog.showModal();
  const box = part("opened-body");
  const task = part("opened-task").querySelector("select").value;
  part("opened-task").hidden = !items.some((item) => item.trial);
  part("opened-title").textContent = items.length > 1
    ? `${items.length} side by side` : items[0].name;
  box.replaceChildren();
  if (items.length > 1) drawLegend(box, items);
  showHistories(box, items, task);
  for (const { row } of items) {
    const error = row && data.failures.find(
      (f) => f.run_id === cellOf(row, "run_id"));
    if (error) make(box, "pre", { text: error.traceback || error.message });
  }
  showFacts(box, items);
  showTest(box, items, task);
}
