// Small charts in SVG: dots by row, curves, a scatter plot, a matrix; and the
// choice of what they show.

const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "7 3", "2 3"];
const tip = () => document.getElementById("tip");

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
function draw(parent, name, attributes = {}, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes))
    if (value !== undefined) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return parent ? parent.appendChild(node) : node;
}

function explain(node, text) {
  node.onpointermove = (event) => {
    const box = tip();
    box.textContent = typeof text === "function" ? text(event) : text;
    box.style.display = "block";
    const left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 4);
    box.style.left = `${left}px`;
    box.style.top = `${Math.max(4, event.clientY - 34)}px`;
  };
  node.onpointerleave = () => (tip().style.display = "none");
}

function linearTicks(low, high, count = 6) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((s) => s * power >= raw) * power;
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high + 1e-9 * step; i++)
    ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

function logTicks(low, high) {
  if (high / low < 4) return linearTicks(low, high);
  const ticks = [];
  const steps = high / low > 200 ? [1] : [1, 2, 5];
  for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++)
    for (const s of steps) {
      const tick = Number((s * 10 ** p).toPrecision(3));
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  return ticks;
}

// Limits around values with some air, and at least `least` apart.
function limits(values, { log = false, least = 0 } = {}) {
  const known = values.filter((v) => Number.isFinite(v) && (!log || v > 0));
  if (!known.length) return log ? [1, 10] : [0, 1];
  let low = known.reduce((a, b) => Math.min(a, b));
  let high = known.reduce((a, b) => Math.max(a, b));
  if (log) return [low / 1.15, high * 1.3];
  const air = Math.max(0.06 * (high - low), (least - (high - low)) / 2, 1e-9);
  return [low - air, high + air];
}

function makeScale([low, high], [from, to], log) {
  const f = log ? Math.log : (v) => v;
  const share = (v) => (f(v) - f(low)) / (f(high) - f(low));
  return (v) => from + share(v) * (to - from);
}

const short = (v) =>
  Math.abs(v) >= 1000
    ? Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(v)
    : String(v);

// Charts are as wide as there is room, so that small screens can read them.
const widthOf = (parent, most) => {
  const room = parent.clientWidth || parent.parentElement?.clientWidth || most;
  return Math.max(260, Math.min(most, paper ?? room));
};

// Charts by the node that holds them, to lay them out anew at another width.
const charts = new Map();
const PAPER = 980;
let paper = null;

const labelOf = (parent) =>
  parent.querySelector("svg").getAttribute("aria-label");

// Draws a chart into an empty node, with its numbers in a table behind it.
function lay(parent, paint, numbers) {
  charts.set(parent, [paint, numbers]);
  const open = parent.querySelector("details")?.open;
  parent.replaceChildren();
  paint();
  const box = make(parent, "details", { class: "numbers" });
  make(box, "summary", { text: "Numbers and files" });
  box.ontoggle = () => {
    if (!box.open || box.children.length > 1) return;
    const name = (ending) => () => `${nameAfter(labelOf(parent))}.${ending}`;
    offerFile(box, "Save SVG", name("svg"), () =>
      toSvg(parent.querySelector("svg")));
    offerFile(box, "Save CSV", name("csv"), () => {
      const { columns, rows } = numbers();
      return toCsv(columns, rows);
    });
    listNumbers(box, numbers());
  };
  if (open) box.open = true;
}

function layAll() {
  for (const [parent, [paint, numbers]] of charts)
    if (parent.isConnected) lay(parent, paint, numbers);
    else charts.delete(parent);
}

let laidAt = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === laidAt) return;
  laidAt = innerWidth;
  layAll();
});
addEventListener("beforeprint", () => {
  paper = PAPER;
  layAll();
});
addEventListener("afterprint", () => {
  paper = null;
  layAll();
});

function listNumbers(parent, { columns, rows }) {
  const box = make(parent, "div", { class: "scroll", tabindex: 0 });
  const table = make(box, "table");
  const head = make(make(table, "thead"), "tr");
  columns.forEach((text, i) =>
    make(head, "th", { text, scope: "col", class: i ? "" : "words" }));
  const body = make(table, "tbody");
  for (const [name, ...cells] of rows) {
    const line = make(body, "tr");
    make(line, "th", { text: format(name), class: "words", scope: "row" });
    for (const cell of cells) make(line, "td", { text: format(cell) });
  }
}

const ruler = document.createElement("canvas").getContext("2d");
const widthOfText = (text) => {
  ruler.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
};

// An empty chart: axes, grid, names of both; returns where things go.
function makeFrame(parent, options) {
  const { x, y, xName, yName, label, log, rows } = options;
  const { width = 560, height = 300, left = 56, right = 14 } = options;
  const [top, bottom] = [10, 42];
  const svg = draw(parent, "svg", {
    viewBox: `0 0 ${width} ${height}`, width, height,
    role: "img", "aria-label": label,
  });
  const atX = makeScale(x, [left, width - right], log);
  const atY = rows
    ? (i) => top + (i + 0.5) * ((height - top - bottom) / rows.length)
    : makeScale(y, [height - bottom, top]);
  const steps = width < 600 ? 4 : 6;
  for (const tick of log ? logTicks(...x) : linearTicks(...x, steps)) {
    const line = { x1: atX(tick), x2: atX(tick), y1: top, y2: height - bottom };
    draw(svg, "line", { class: "grid", ...line });
    const place = { x: atX(tick), y: height - bottom + 16 };
    draw(svg, "text", { ...place, "text-anchor": "middle" }, short(tick));
  }
  for (const [i, tick] of (rows ?? linearTicks(...y)).entries()) {
    const at = rows ? atY(i) : atY(tick);
    draw(svg, "line", {
      class: "grid", x1: left, x2: width - right, y1: at, y2: at,
    });
    const place = { x: left - 7, y: at + 4, "text-anchor": "end" };
    draw(svg, "text", place, rows ? tick : short(tick));
  }
  // A name that is wider than the axis has the room of the whole chart.
  const fits = widthOfText(xName) < width - left - right;
  const middle = fits ? (left + width - right) / 2 : width / 2;
  const under = { x: middle, y: height - 6, "text-anchor": "middle" };
  draw(svg, "text", { ...under, class: "quiet" }, xName);
  if (yName) {
    const turn = `rotate(-90 13 ${(top + height - bottom) / 2})`;
    const beside = { x: 13, y: (top + height - bottom) / 2, transform: turn };
    draw(svg, "text",
      { ...beside, "text-anchor": "middle", class: "quiet" }, yName);
  }
  return { svg, atX, atY };
}

// rows: {name, values, mean, low, high, colour}; a row each, a dot a value. A
// row may have a second interval, `wide`, and a `note` at its end; `margin` is
// half the width of a band around the line.
function drawDots(parent, rows, options) {
  const wide = rows.some((r) => r.wide?.length);
  const notes = rows.some((r) => r.note);
  const columns = ["", options.xName, "low", "high"];
  if (wide) columns.push("wide: low", "wide: high");
  if (notes) columns.push("verdict");
  const numbers = () => ({
    columns,
    rows: rows.map((r) => [
      r.name, r.mean, r.low, r.high,
      ...(wide ? [r.wide?.[0], r.wide?.[1]] : []), ...(notes ? [r.note] : []),
    ]),
  });
  lay(parent, () => paintDots(parent, rows, options), numbers);
}

function paintDots(parent, rows, { xName, line, margin }) {
  const ends = rows.flatMap((r) =>
    [...r.values, ...(r.wide ?? []), r.low, r.high, r.mean]);
  if (margin) ends.push(-margin, margin);
  if (Number.isFinite(line)) ends.push(line);
  const notes = rows.some((r) => r.note) ? 74 : 0;
  const width = widthOf(parent, 1000);
  const most = width < 600 ? 18 : 44;
  const cut = (s) => (s.length > most ? `${s.slice(0, most - 1)}…` : s);
  const names = rows.map((r) => cut(r.name));
  const { svg, atX, atY } = makeFrame(parent, {
    x: limits(ends.filter((v) => v !== null), { least: 0.05 }),
    rows: names, xName, label: xName,
    width, left: 12 + Math.max(...names.map(widthOfText)),
    height: 56 + 24 * rows.length, right: 14 + notes,
  });
  if (margin)
    draw(svg, "rect", {
      x: atX(-margin), width: atX(margin) - atX(-margin), y: 10,
      height: 4 + 24 * rows.length, fill: "var(--c2)", opacity: 0.15,
    });
  if (Number.isFinite(line)) {
    const at = { x1: atX(line), x2: atX(line), y1: 10 };
    at.y2 = 14 + 24 * rows.length;
    const stroke = notes ? "var(--text)" : "var(--c1)";
    draw(svg, "line", { ...at, stroke, "stroke-dasharray": "4 3" });
  }
  rows.forEach((row, i) => {
    const group = draw(svg, "g");
    const y = atY(i);
    if (row.wide?.length)
      draw(group, "line", {
        x1: atX(row.wide[0]), x2: atX(row.wide[1]), y1: y, y2: y,
        stroke: row.colour, "stroke-width": 1.2,
      });
    if (row.note)
      draw(svg, "text", { x: width - notes - 6, y: y + 4 }, row.note);
    if (row.low !== null && row.high !== null)
      draw(group, "line", {
        x1: atX(row.low), x2: atX(row.high), y1: y, y2: y,
        stroke: row.colour, "stroke-width": row.wide ? 6 : 3, opacity: 0.55,
        "stroke-linecap": row.wide ? "butt" : "round",
      });
    for (const value of row.values.filter((v) => v !== null))
      draw(group, "circle", { cx: atX(value), cy: y, r: 2.6, class: "quiet" });
    if (row.mean !== null)
      draw(group, "circle", { cx: atX(row.mean), cy: y, r: 5.5, fill: row.colour });
    explain(group, row.tip);
  });
}

// series: {name, colour, dash, x, y, low, high}; low and high may be missing.
function drawCurves(parent, series, options) {
  const numbers = () => {
    const xs = [...new Set(series.flatMap((s) => s.x))].sort((a, b) => a - b);
    const cell = (s, i) => (s.y[i] ?? null) === null ? null
      : s.low ? [s.y[i], null, s.low[i], s.high[i]] : s.y[i];
    return {
      columns: [options.xName, ...series.map((s) => s.name)],
      rows: xs.map((x) => [x, ...series.map((s) => cell(s, s.x.indexOf(x)))]),
    };
  };
  lay(parent, () => paintCurves(parent, series, options), numbers);
}

function paintCurves(parent, series, options) {
  const { xName, yName, width, height, unit } = options;
  const flat = (key) => series.flatMap((s) => s[key] ?? []);
  const ys = [...flat("y"), ...flat("low"), ...flat("high")];
  const known = ys.filter((v) => v !== null);
  const { svg, atX, atY } = makeFrame(parent, {
    x: unit ? [0, 1] : limits(flat("x")),
    y: unit ? [0, 1] : limits(known, { least: 0.02 }),
    xName, yName, label: `${yName} against ${xName}`, height,
    width: widthOf(parent, width ?? 560),
  });
  const path = (x, y) => {
    let pen = "M";
    return x.map((v, i) => {
      if (y[i] === null) return (pen = "M"), "";
      const point = `${pen}${atX(v).toFixed(1)} ${atY(y[i]).toFixed(1)}`;
      pen = "L";
      return point;
    }).join("");
  };
  for (const s of series.filter((s) => s.low)) {
    const there = s.x.map((_, i) => i).filter((i) => s.low[i] !== null);
    const back = [...there].reverse();
    const x = [...there, ...back].map((i) => s.x[i]);
    const y = [...there.map((i) => s.high[i]), ...back.map((i) => s.low[i])];
    if (there.length)
      draw(svg, "path", { d: `${path(x, y)}Z`, fill: s.colour, opacity: 0.13 });
  }
  for (const s of series) {
    const line = { d: path(s.x, s.y), fill: "none", stroke: s.colour };
    draw(svg, "path", { ...line, "stroke-width": 2, "stroke-dasharray": s.dash });
    const wide = { ...line, "stroke-width": 12, opacity: 0 };
    explain(draw(svg, "path", wide), (event) => {
      const at = new DOMPoint(event.clientX, event.clientY)
        .matrixTransform(svg.getScreenCTM().inverse()).x;
      const far = (i) => Math.abs(atX(s.x[i]) - at);
      const i = s.x.map((_, k) => k).reduce((a, b) => (far(b) < far(a) ? b : a));
      return `${s.name}\n${xName} ${format(s.x[i])}: ${format(s.y[i])}`;
    });
  }
}

// points: {name, x, y, low, high, colour, front}.
function drawScatter(parent, points, options) {
  const numbers = () => ({
    columns: ["", options.xName, options.yName, "low", "high", "front"],
    rows: points.map((p) =>
      [p.name, p.x, p.y, p.low, p.high, p.front ? "yes" : ""]),
  });
  lay(parent, () => paintScatter(parent, points, options), numbers);
}

function paintScatter(parent, points, { xName, yName }) {
  const ys = points.flatMap((p) => [p.y, p.low, p.high]);
  const width = widthOf(parent, 1000);
  const { svg, atX, atY } = makeFrame(parent, {
    x: limits(points.map((p) => p.x), { log: true }),
    y: limits(ys.filter((v) => v !== null), { least: 0.05 }),
    log: true, xName, yName, label: `${yName} against ${xName}`,
    width, height: 380,
  });
  const front = points.filter((p) => p.front).sort((a, b) => a.x - b.x);
  const steps = front.map((p, i) =>
    `${i ? `H${atX(p.x)}V` : `M${atX(p.x)} `}${atY(p.y)}`);
  const line = { d: steps.join(""), fill: "none", stroke: "var(--quiet)" };
  draw(svg, "path", { ...line, "stroke-dasharray": "5 4" });
  for (const p of points) {
    const [x, y] = [atX(p.x), atY(p.y)];
    const group = draw(svg, "g");
    if (p.low !== null && p.high !== null)
      draw(group, "line", {
        x1: x, x2: x, y1: atY(p.low), y2: atY(p.high),
        stroke: p.colour, opacity: 0.4, "stroke-width": 2,
      });
    draw(group, "circle", { cx: x, cy: y, r: 6, fill: p.colour });
    if (p.front) {
      const fits = x + 10 + widthOfText(p.name) < width;
      const beside = fits ? { x: x + 10 } : { x: x - 10, "text-anchor": "end" };
      draw(svg, "text", { ...beside, y: y - 8, class: "label" }, p.name);
    }
    explain(group, p.tip);
  }
}

// A table of numbers, and what each says: from 0 to `most` in shades of blue, or
// as `shade` and `say` have it.
function drawMatrix(parent, rows, columns, values, options) {
  const { least = 0, most = 1, tell } = options;
  const blue = (r, c) => {
    const share = Math.round((100 * (values[r][c] - least)) / (most - least || 1));
    return `color-mix(in oklab, var(--better) ${share}%, var(--panel))`;
  };
  const { shade = blue, say = (v) => (v ? format(v, 2) : "") } = options;
  const table = make(parent, "table", { class: "matrix" });
  const head = make(make(table, "thead"), "tr");
  for (const name of ["", ...columns]) make(head, "th", { text: name });
  const body = make(table, "tbody");
  rows.forEach((name, r) => {
    const line = make(body, "tr");
    make(line, "th", { text: name, class: "words", scope: "row" });
    columns.forEach((_, c) => {
      const value = values[r][c];
      const cell = make(line, "td", { text: value === null ? "" : say(value) });
      if (value === null) return;
      cell.style.background = shade(r, c);
      explain(cell, tell(r, c));
    });
  });
}
