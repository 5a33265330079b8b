// Fills the page from the data that are embedded in it.

const data = JSON.parse(document.getElementById("data").textContent);
const part = (id) => document.getElementById(id);
const colourOf = (i) => `var(--c${i % 6})`;
const dashOf = (i) => DASHES[Math.floor(i / 6) % DASHES.length];
const colourOfTrial = (t) => (t.baseline ? "var(--c1)" : "var(--c0)");
const MEASURES = {
  [data.drawn.key]: `${data.drawn.name} on val`,
  val_loss: "loss on val",
  loss: "loss on train",
};
const COSTS = { parameters: "parameters", train_seconds: "train time, s" };
const FIRST_CURVES = 6;

// The choice is kept in the address by its name in small letters; an unknown one
// there is the first.
function choose(parent, what, options, change) {
  const label = make(parent, "label", { text: `${what} ` });
  const select = make(label, "select");
  for (const [value, text] of Object.entries(options))
    make(select, "option", { value, text });
  const name = what.toLowerCase();
  select.onchange = () => address.set({ [name]: [select.value] });
  address.follow([name], () => {
    const asked = address.get(name);
    select.value = Object.hasOwn(options, asked) ? asked
      : Object.keys(options)[0];
    change(select.value);
  });
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
  const shown = () => {
    const asked = address.list("curve");
    if (!asked.length) return data.trials.slice(0, FIRST_CURVES);
    return data.trials.filter((trial) => asked.includes(trial.name));
  };
  let task;
  const show = () => {
    const seen = shown();
    [...legend.children].forEach((key, i) =>
      key.setAttribute("aria-pressed", seen.includes(data.trials[i])));
    figure.replaceChildren();
    for (const measure of [data.drawn.key, "val_loss"]) {
      const series = seen.flatMap((trial) => {
        const runs = trial.runs[task] ?? [];
        const known = runs.map((id) => data.histories[id]).filter(Boolean);
        if (!known.length) return [];
        const i = data.trials.indexOf(trial);
        const look = { colour: colourOf(i), dash: dashOf(i) };
        return [{ name: trial.name, ...look, ...overSeeds(known, measure) }];
      });
      const names = { xName: "epoch", yName: MEASURES[measure] };
      drawCurves(make(figure, "div"), series, names);
    }
  };
  data.trials.forEach((trial, i) => {
    const key = make(legend, "button", { type: "button" });
    const swatch = make(key, "span", { class: "swatch" });
    swatch.style.borderTopColor = colourOf(i);
    swatch.style.borderTopStyle = ["solid", "dashed", "dotted"][Math.floor(i / 6) % 3];
    make(key, "span", { text: trial.name });
    key.onclick = () => {
      const seen = shown();
      const left = seen.includes(trial) ? seen.filter((t) => t !== trial)
        : [...seen, trial];
      // An empty name is that of no trial.
      const kept = left.length ? left.map((t) => t.name) : [""];
      address.set({ curve: kept });
    };
  });
  choose(controls, "Task", named(data.tasks), (value) => {
    task = value;
    show();
  });
  address.follow(["curve"], show);
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

// The name of a row of the table of runs, as of its history.
const nameRun = (row) => {
  const [run, task] = ["run_id", "task"].map((name) => cellOf(row, name));
  return data.histories[`${run}/${task}`] ? `${run}/${task}` : run;
};
const cellOf = (row, name) => row[data.runs.columns.indexOf(name)];

// Opens the run that the address names; an unknown one closes the dialog.
function openAsked() {
  const asked = address.get("open");
  const row = asked && data.runs.rows.find((r) => nameRun(r) === asked);
  if (row) showRun(row);
  else part("run").close();
}

function showRun(row) {
  const of = (name) => cellOf(row, name);
  const dialog = part("run");
  const box = part("run-body");
  box.replaceChildren();
  // Open first, as charts ask how much room there is.
  if (!dialog.open) dialog.showModal();
  const where = `${of("trial")}, ${of("task")}, seed ${of("seed")}`;
  part("run-title").textContent = where;
  const history = data.histories[nameRun(row)];
  if (history) {
    const both = make(box, "div", { class: "charts" });
    const size = { width: 420, height: 260, xName: "epoch" };
    const curve = (measure, i) => ({
      name: MEASURES[measure], x: history.epoch, y: history[measure],
      colour: colourOf(i), dash: dashOf(6 * i),
    });
    drawCurves(make(both, "div"), [curve(data.drawn.key, 0)],
      { ...size, yName: MEASURES[data.drawn.key] });
    drawCurves(make(both, "div"), [curve("val_loss", 0), curve("loss", 1)],
      { ...size, yName: "loss (dashed: on train)" });
  } else make(box, "p", { text: "This run has no learning curve." });
  const error = data.failures.find((f) => f.run_id === of("run_id"));
  if (error) make(box, "pre", { text: error.traceback || error.message });
  const facts = make(box, "dl");
  data.runs.columns.forEach((name, i) => {
    make(facts, "dt", { text: name.replaceAll("_", " ") });
    make(facts, "dd", { text: format(row[i]) });
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

// Puts what the trial of each run is made of behind its columns.
function withAxes({ columns, rows }) {
  const { axes } = data;
  const hidden = axes.columns.filter((name) => !columns.includes(name));
  const at = hidden.map((name) => axes.columns.indexOf(name));
  const values = new Map(data.trials.map((trial, i) =>
    [trial.name, at.map((k) => axes.rows[i][k])]));
  const full = rows.map((row) => [...row, ...values.get(row[0])]);
  return { columns: [...columns, ...hidden], rows: full, hidden };
}

// Texts to copy, and charts that are on the page already.
function offerTexts() {
  const verdict = part("verdict");
  const text = verdict.textContent;
  verdict.append(" ");
  offerCopy(verdict, "Copy", () => text);
  const box = part("references");
  if (box) {
    const entries = box.querySelector("pre").textContent;
    const files = make(null, "div", { class: "controls" });
    box.querySelector("summary").after(files);
    offerCopy(files, "Copy BibTeX", () => entries);
    offerFile(files, "Save BibTeX", () => `${nameAfter("references")}.bib`,
      () => entries);
  }
  for (const panels of document.querySelectorAll("#calibration-part details")) {
    const charts = () => [...panels.querySelectorAll("svg[role=img]")];
    const name = () => `${nameAfter(panels.querySelector("summary").textContent)}.svg`;
    offerFile(panels, "Save SVG", name, () => toSvg(charts()));
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
makeTable(part("runs"), withAxes(data.runs), {
  what: "runs", open: (row) => address.set({ open: [nameRun(row)] }),
});
showFailures();
offerTexts();
part("close").onclick = () => part("run").close();
part("run").onclose = () => address.set({ open: [] });
address.follow(["open"], openAsked);
