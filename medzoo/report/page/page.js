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

const nameOf = (key) =>
  key === "harmonic mean"
    ? `harmonic mean of ${data.score} on test`
    : `${data.score} on test, ${key}`;
const range = ({ low, high }) =>
  low === null ? "" : ` (${format(low)} to ${format(high)})`;

function showScores() {
  if (!part("scores")) return;
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
  if (!part("costs")) return;
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
  const lookOf = (trial) => {
    const i = data.trials.indexOf(trial);
    return { trial, name: trial.name, colour: colourOf(i), dash: dashOf(i) };
  };
  let task;
  const show = () => {
    const seen = shown();
    [...legend.children].forEach((key, i) =>
      key.setAttribute("aria-pressed", seen.includes(data.trials[i])));
    figure.replaceChildren();
    for (const measure of [data.drawn.key, "val_loss"]) {
      const series = seen.flatMap((trial) =>
        followItem(lookOf(trial), task, measure));
      const names = { xName: "epoch", yName: MEASURES[measure] };
      drawCurves(make(figure, "div"), series, names);
    }
  };
  data.trials.forEach((trial, i) => {
    const key = make(legend, "button", { type: "button" });
    drawSwatch(key, colourOf(i), dashOf(i));
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

// A line a trial, if more than one field differs between them.
function showParallel() {
  if (!part("parallel")) return;
  const { axes, trials } = data;
  const key = Object.keys(trials[0].scores)[0];
  const cells = trials.map((trial, i) => [
    ...axes.rows[i], ...Object.keys(COSTS).map((cost) => trial[cost]),
    trial.scores[key].mean,
  ]);
  const columns = [...axes.columns, ...Object.values(COSTS), data.score];
  const differs = columns.map((_, i) =>
    i === columns.length - 1 || new Set(cells.map((row) => row[i])).size > 1);
  if (axes.columns.filter((_, i) => differs[i]).length < 2)
    return (part("parallel-part").hidden = true);
  const keep = (row) => row.filter((_, i) => differs[i]);
  const table = { columns: keep(columns), rows: cells.map(keep) };
  drawParallel(part("parallel"), table, {
    names: trials.map((t) => t.name),
    open: (name) => address.set({ open: [name] }),
  });
}

function showNear() {
  const held = [data.confusions, data.points, data.galleries].flat();
  const known = data.trials.filter((t) => held.some((e) => e.trial === t.name));
  if (!known.length) return (part("near-part").hidden = true);
  const controls = make(part("near"), "div", { class: "controls" });
  const box = make(part("near"), "div");
  let name, task;
  const show = () => {
    box.replaceChildren();
    const trial = known.find((t) => t.name === name);
    showTest(box, [{ trial, name, colour: colourOf(0) }], task);
  };
  choose(controls, "Trial", named(known.map((t) => t.name)), (value) => {
    name = value;
    if (task) show();
  });
  choose(controls, "Task", named(data.tasks), (value) => {
    task = value;
    show();
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
}

const best = data.summary.rows[0];
const runs = withAxes(data.runs);
makeTable(part("trials"), data.summary, {
  what: "trials", mark: (row) => data.marked && row === best,
  nameOf: (row) => row[0],
});
showDifferences();
showPairs();
showScores();
showRanks();
showHeatMap();
showParallel();
showCosts();
showCurves();
showNear();
makeTable(part("runs"), runs, { what: "runs", nameOf: nameRun });
showFailures();
offerTexts();
choose(part("opened-task"), "Task", named(data.tasks), () => {});
part("close").onclick = () => part("opened").close();
part("opened").onclose = () => address.set({ open: [] });
address.follow(["open", "task"], openAsked);
