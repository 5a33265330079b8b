// Fills the page from the data that are embedded in it.

const data = JSON.parse(document.getElementById("data").textContent);
const part = (id) => document.getElementById(id);
const colourOf = (i) => `var(--c${i % 6})`;
const dashOf = (i) => DASHES[Math.floor(i / 6) % DASHES.length];
const colourOfTrial = (t) => (t.baseline ? "var(--c1)" : "var(--c0)");
const MEASURES = {
  val_macro_f1: "macro F1 on val",
  val_loss: "loss on val",
  loss: "loss on train",
};
const COSTS = { parameters: "parameters", train_seconds: "train time, s" };
const FIRST_CURVES = 6;

function choose(parent, what, options, change) {
  const label = make(parent, "label", { text: `${what} ` });
  const select = make(label, "select");
  for (const [value, text] of Object.entries(options))
    make(select, "option", { value, text });
  select.onchange = () => change(select.value);
  return select;
}

const named = (names) => Object.fromEntries(names.map((n) => [n, n]));
const nameOf = (key) =>
  key === "harmonic mean"
    ? `harmonic mean of ${data.score} on test`
    : `${data.score} on test, ${key}`;
const range = ({ low, high }) =>
  low === null ? "" : ` (${format(low)} to ${format(high)})`;

function showScores() {
  const box = part("scores");
  const controls = make(box, "div", { class: "controls" });
  const figure = make(box, "figure");
  const keys = Object.keys(data.trials[0].scores);
  const show = (key) => {
    figure.replaceChildren();
    const rows = data.trials.map((trial) => {
      const score = trial.scores[key];
      const colour = colourOfTrial(trial);
      const seeds = score.values.map((v) => format(v) || "none").join(", ");
      const tip = `${trial.name}: ${format(score.mean)}${range(score)}\n`
        + `seeds: ${seeds}`;
      return { name: trial.name, ...score, colour, tip };
    });
    const line = data.trials.find((t) => t.baseline)?.scores[key].mean;
    drawDots(figure, rows, { xName: nameOf(key), line });
  };
  choose(controls, "Score", named(keys), show);
  show(keys[0]);
}

const VERDICTS = {
  better: "var(--c0)", worse: "var(--c1)", equal: "var(--c2)",
  undecided: "var(--quiet)",
};
const sayDifference = (value, low, high, p) =>
  `${format([value, low, high])}${p === null ? "" : `, p ${formatP(p).replace(/^(?!<)/, "= ")}`}`;

function showDifferences() {
  if (!data.differences) return;
  const { rows, name, margin } = data.differences;
  const lines = rows.map((row) => ({
    ...row, values: [], colour: VERDICTS[row.verdict], note: row.verdict,
    tip: `${row.name}: ${row.verdict}\n`
      + sayDifference(row.mean, row.low, row.high, row.p),
  }));
  const options = { xName: name, line: 0, margin };
  drawDots(part("differences"), lines, options);
}

function showPairs() {
  if (!part("pairs-part")) return;
  if (!data.pairs) return (part("pairs-part").hidden = true);
  const { names, cells, verdicts } = data.pairs;
  const values = cells.map((row) => row.map((cell) => cell && cell[0][0]));
  const tell = (r, c) => `${names[r]} minus ${names[c]}: ${verdicts[r][c]}\n`
    + sayDifference(...cells[r][c][0], cells[r][c][1]);
  const shade = (r, c) => verdicts[r][c] === "undecided"
    ? "var(--panel)"
    : `var(--${verdicts[r][c]})`;
  const numbered = names.map((n, i) => `${n}  ${i + 1}`);
  const say = (value) => withSign(value, 2);
  const columns = names.map((_, i) => i + 1);
  drawMatrix(part("pairs"), numbered, columns, values, { tell, shade, say });
}

// A trial is on the front if none is both cheaper and better.
function markFront(points) {
  for (const p of points)
    p.front = !points.some(
      (q) => q.x <= p.x && q.y >= p.y && (q.x < p.x || q.y > p.y),
    );
}

function showCosts() {
  const box = part("costs");
  const controls = make(box, "div", { class: "controls" });
  const figure = make(box, "figure");
  const key = Object.keys(data.trials[0].scores)[0];
  const show = (cost) => {
    figure.replaceChildren();
    const points = data.trials
      .filter((t) => t[cost] && t.scores[key].mean !== null)
      .map((t) => ({
        name: t.name, x: t[cost], y: t.scores[key].mean,
        low: t.scores[key].low, high: t.scores[key].high,
        colour: colourOfTrial(t),
        tip: `${t.name}: ${format(t.scores[key].mean)}${range(t.scores[key])}`
          + `\n${COSTS[cost]}: ${format(t[cost])}`,
      }));
    markFront(points);
    drawScatter(figure, points, { xName: COSTS[cost], yName: nameOf(key) });
  };
  const differs = ([cost]) => new Set(data.trials.map((t) => t[cost])).size > 1;
  const costs = Object.entries(COSTS).filter(differs);
  if (!costs.length) return (part("costs-part").hidden = true);
  choose(controls, "Against", Object.fromEntries(costs), show);
  show(costs[0][0]);
}

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
  return {
    x,
    y: at((v) => v.reduce((a, b) => a + b) / v.length),
    low: at((v) => Math.min(...v)),
    high: at((v) => Math.max(...v)),
  };
}

function showCurves() {
  const box = part("curves");
  const controls = make(box, "div", { class: "controls" });
  const legend = make(box, "div", { class: "legend" });
  const figure = make(box, "figure", { class: "charts" });
  const shown = new Set(data.trials.slice(0, FIRST_CURVES).map((_, i) => i));
  let task = data.tasks[0];
  const show = () => {
    figure.replaceChildren();
    for (const measure of ["val_macro_f1", "val_loss"]) {
      const series = data.trials.flatMap((trial, i) => {
        const runs = trial.runs[task] ?? [];
        const known = runs.map((id) => data.histories[id]).filter(Boolean);
        if (!shown.has(i) || !known.length) return [];
        const look = { colour: colourOf(i), dash: dashOf(i) };
        return [{ name: trial.name, ...look, ...overSeeds(known, measure) }];
      });
      const names = { xName: "epoch", yName: MEASURES[measure] };
      drawCurves(make(figure, "div"), series, names);
    }
  };
  choose(controls, "Task", named(data.tasks), (value) => {
    task = value;
    show();
  });
  data.trials.forEach((trial, i) => {
    const pressed = String(shown.has(i));
    const key = make(legend, "button", { type: "button", "aria-pressed": pressed });
    const swatch = make(key, "span", { class: "swatch" });
    swatch.style.borderTopColor = colourOf(i);
    swatch.style.borderTopStyle = ["solid", "dashed", "dotted"][Math.floor(i / 6) % 3];
    make(key, "span", { text: trial.name });
    key.onclick = () => {
      shown.has(i) ? shown.delete(i) : shown.add(i);
      key.setAttribute("aria-pressed", shown.has(i));
      show();
    };
  });
  show();
}

function showClasses() {
  if (!data.classes.length) return (part("classes-part").hidden = true);
  const controls = make(part("classes"), "div", { class: "controls" });
  const box = make(part("classes"), "div", { class: "scroll" });
  const show = (task) => {
    box.replaceChildren();
    const { names, counts, f1 } = data.classes.find((c) => c.task === task);
    const sums = counts.map((row) => row.reduce((a, b) => a + b, 0));
    const shares = counts.map((row, r) => [
      ...row.map((n) => (sums[r] ? n / sums[r] : null)), f1[r],
    ]);
    const tell = (r, c) => c === names.length
      ? `F1 of ${names[r]}: ${format(f1[r])}`
      : `${counts[r][c]} of ${sums[r]} images of ${names[r]}\n`
        + `were taken for ${names[c]}`;
    const numbered = names.map((n, i) => (n === String(i) ? n : `${n}  ${i}`));
    drawMatrix(box, numbered, [...names.keys(), "F1"], shares, { tell });
    box.firstChild.classList.add("apart");
  };
  choose(controls, "Task", named(data.classes.map((c) => c.task)), show);
  show(data.classes[0].task);
}

function showHeatMap() {
  if (!data.heat_map) return (part("heat-part").hidden = true);
  const { rows, columns, values } = data.heat_map;
  const known = values.flat().filter((v) => v !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const tell = (r, c) => `${rows[r]}, ${columns[c]}: ${format(values[r][c])}`;
  drawMatrix(part("heat"), rows, columns, values, { least, most, tell });
}

// Two trials are told apart where their bars, half the critical difference to
// each side, do not overlap.
function showRanks() {
  if (!data.ranks) return (part("ranks-part").hidden = true);
  const { names, ranks, critical_difference: distance } = data.ranks;
  const rows = names.map((name, i) => ({
    name, values: [], mean: ranks[i],
    low: ranks[i] - distance / 2, high: ranks[i] + distance / 2,
    colour: colourOfTrial(data.trials.find((t) => t.name === name)),
    tip: `${name}: average rank ${format(ranks[i])}`,
  }));
  drawDots(part("ranks"), rows, { xName: "average rank over the tasks, 1 is best" });
}

// Takes the texts of a row of the table of runs.
function showRun(columns, row) {
  const of = (name) => row[columns.indexOf(name)];
  const dialog = part("run");
  const box = part("run-body");
  box.replaceChildren();
  // Open first, as charts ask how much room there is.
  dialog.showModal();
  const where = `${of("trial")}, ${of("task")}, seed ${of("seed")}`;
  part("run-title").textContent = where;
  const history = data.histories[of("run_id")]
    ?? data.histories[`${of("run_id")}/${of("task")}`];
  if (history) {
    const both = make(box, "div", { class: "charts" });
    const size = { width: 420, height: 260, xName: "epoch" };
    const curve = (measure, i) => ({
      name: MEASURES[measure], x: history.epoch, y: history[measure],
      colour: colourOf(i), dash: dashOf(6 * i),
    });
    drawCurves(make(both, "div"), [curve("val_macro_f1", 0)],
      { ...size, yName: MEASURES.val_macro_f1 });
    drawCurves(make(both, "div"), [curve("val_loss", 0), curve("loss", 1)],
      { ...size, yName: "loss (dashed: on train)" });
  } else make(box, "p", { text: "This run has no learning curve." });
  const error = data.failures.find((f) => f.run_id === of("run_id"));
  if (error) make(box, "pre", { text: error.traceback || error.message });
  const facts = make(box, "dl");
  columns.forEach((name, i) => {
    make(facts, "dt", { text: name.replaceAll("_", " ") });
    make(facts, "dd", { text: row[i] });
  });
}

function showFailures() {
  if (!data.failures.length) return (part("failures-part").hidden = true);
  for (const failure of data.failures) {
    const box = make(part("failures"), "details");
    make(box, "summary", { text: `${failure.where}: ${failure.message}` });
    if (failure.traceback) make(box, "pre", { text: failure.traceback });
  }
}

const best = data.summary.rows[0];
makeTable(part("trials"), data.summary, {
  what: "trials", mark: (row) => data.marked && row === best,
});
showDifferences();
showPairs();
showScores();
showRanks();
showHeatMap();
showCosts();
showCurves();
showClasses();
makeTable(part("runs"), data.runs, { what: "runs", open: showRun });
showFailures();
part("close").onclick = () => part("run").close();
