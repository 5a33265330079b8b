// A table that sorts by a click on a column, filters as one types, and has
// columns to choose. The address keeps all three.

const FIRST_ROWS = 100;

function make(parent, name, { text, ...attributes } = {}) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return parent ? parent.appendChild(node) : node;
}

// A cell is null, a word, a number, [value, half of its interval], the same
// with the ends of an interval that does not lie around it, or [difference,
// lower end, upper end].
const valueOf = (cell) => (Array.isArray(cell) ? cell[0] : cell);

function format(cell, digits = 3) {
  if (cell === null || cell === undefined) return "";
  if (Array.isArray(cell)) {
    const [value, half, ...ends] = cell.map((x) => format(x, digits));
    if (cell.length === 2) return half ? `${value} ± ${half}` : value;
    if (cell.length === 4) return `${value} (${ends[0]} to ${ends[1]})`;
    const [difference, low, high] = cell.map((x) => withSign(x, digits));
    return low ? `${difference} (${low} to ${high})` : difference;
  }
  if (typeof cell !== "number") return String(cell);
  if (Number.isInteger(cell)) return cell.toLocaleString("en");
  const least = 10 ** -digits;
  return 0 < cell && cell < least / 2 ? `<${least}` : cell.toFixed(digits);
}

function formatP(p) {
  if (p === null) return "";
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}

function withSign(value, digits) {
  if (value === null) return "";
  return (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(digits);
}

// Digits after the point that tell the numbers of a column apart.
function digitsOf(cells) {
  if (cells.some((cell) => Array.isArray(cell))) return 3;
  const sizes = cells.map(valueOf).filter((v) => typeof v === "number" && v);
  const largest = sizes.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  return largest >= 10 ? 1 : largest && largest < 0.01 ? 6 : 3;
}

// Empty cells come last in both directions.
function compare(a, b, sign) {
  [a, b] = [valueOf(a) ?? null, valueOf(b) ?? null];
  if (a === null || b === null) return (a === null) - (b === null);
  // Axis values are words, though some of them are numbers: "16", "1e-3".
  const order = isNaN(a) || isNaN(b) ? String(a).localeCompare(b) : a - b;
  return sign * order;
}

// A column as a filter and the address name it.
const keyOf = (name) => name.toLowerCase().replace(/\s+/g, "_");

// Reads a filter: `column=value` and "value" are whole cells, the rest may be
// anywhere in a row. A column without a value yet asks for nothing.
function readFilter(text, keys) {
  const typed = text.toLowerCase().replace(/(\S+)="?$/, (whole, name) =>
    keys.includes(name) ? "" : whole);
  const found = typed.matchAll(/(?:([^\s"=]+)=)?(?:"([^"]*)"|(\S+))/g);
  return [...found].map(([whole, name, quoted, bare]) => {
    const value = quoted ?? bare.replaceAll('"', "");
    if (keys.includes(name)) return { value, among: [keys.indexOf(name)] };
    if (name === undefined && quoted !== undefined)
      return { value, among: [...keys.keys()] };
    return { value: whole.replaceAll('"', "") };
  });
}

// A table has columns, rows, and names of columns that are hidden at first. With
// `nameOf`, its rows open by their names, several of them side by side.
function makeTable(parent, { columns, rows, hidden = [] }, { what, nameOf, mark }) {
  const controls = make(parent, "div", { class: "controls" });
  const filter = make(controls, "input", {
    type: "search",
    placeholder: 'Filter: words, "whole cell", column=value',
    "aria-label": `Filter ${what}: words, "whole cell", column=value`,
  });
  const count = make(controls, "span", { class: "quiet", role: "status" });
  const all = make(controls, "button", { type: "button", text: "Show all" });
  const together = make(controls, "button", { type: "button" });
  const menu = make(parent, "details", { class: "columns" });
  make(menu, "summary", { text: "Columns and files" });
  const files = make(menu, "div", { class: "controls" });
  const ticked = make(menu, "div");
  const box = make(parent, "div", { class: "scroll" });
  const table = make(box, "table");
  const head = make(make(table, "thead"), "tr");
  const body = make(table, "tbody");
  const words = columns.map((_, i) =>
    rows.some((row) => typeof row[i] === "string"),
  );
  const digits = columns.map((_, i) => digitsOf(rows.map((row) => row[i])));
  const shown = rows.map((row) => row.map((cell, i) =>
    columns[i] === "p" ? formatP(cell) : format(cell, digits[i])));
  const lower = shown.map((row) => row.map((text) => text.toLowerCase()));
  const texts = lower.map((row) => row.join(" "));
  const keys = columns.map(keyOf);
  const names = Object.fromEntries(["filter", "sort", "order", "columns"]
    .map((name) => [name, `${what}.${name}`]));
  const ticks = `${what}.ticked`;
  let limit = FIRST_ROWS;

  const isCell = (i, column, value) => lower[i][column] === value
    || (value !== "" && Number(value) === valueOf(rows[i][column]));
  const fits = (i, { value, among }) => among
    ? among.some((column) => isCell(i, column, value))
    : texts[i].includes(value);

  // The first column names the row and is always there.
  function chosen() {
    const asked = address.get(names.columns).split(/[\s,]+/).map(keyOf);
    const known = keys.map((key, i) => asked.includes(key) || !i);
    return keys.some((key) => asked.includes(key)) ? known
      : columns.map((name) => !hidden.includes(name));
  }

  function addRow(index, seen) {
    const line = make(body, "tr");
    if (mark?.(rows[index])) line.classList.add("best");
    shown[index].forEach((text, i) => {
      const cell = make(line, "td", { class: words[i] ? "words" : "" });
      cell.hidden = !seen[i];
      if (nameOf && !i) addOpener(line, cell, index);
      else cell.textContent = text;
    });
  }

  // The button opens by keyboard: its click reaches the row.
  function addOpener(line, cell, index) {
    const [name, text] = [nameOf(rows[index]), shown[index][0]];
    const label = `Compare ${shown[index].slice(0, 3).join(", ")}`;
    const tick = make(cell, "input", {
      type: "checkbox", value: name, "aria-label": label,
    });
    tick.checked = address.list(ticks).includes(name);
    tick.onchange = () => {
      const others = address.list(ticks).filter((other) => other !== name);
      address.set({ [ticks]: tick.checked ? [...others, name] : others });
    };
    tick.onkeydown = (event) => {
      if (event.key !== "Enter") return;
      // The same key would press the button that gets the focus.
      event.preventDefault();
      openTicked();
    };
    make(cell, "button", { type: "button", "aria-haspopup": "dialog", text });
    line.classList.add("opens");
    line.onclick = ({ target }) => {
      if (target !== tick) address.set({ open: [name] });
    };
  }

  const openTicked = () => address.set({ open: address.list(ticks) });

  function tickAll() {
    const ticked = address.list(ticks);
    for (const tick of body.querySelectorAll("input"))
      tick.checked = ticked.includes(tick.value);
    together.textContent = `Compare ${ticked.length} side by side`;
    together.hidden = ticked.length < 2;
  }

  // A column that the address does not know sorts nothing.
  function order() {
    const column = keys.indexOf(keyOf(address.get(names.sort)));
    const up = address.get(names.order) !== "down";
    [...head.cells].forEach((cell, i) => {
      cell.ariaSort =
        i !== column ? null : up ? "ascending" : "descending";
    });
    const indices = [...rows.keys()];
    if (column < 0) return indices;
    return indices.sort((a, b) =>
      compare(rows[a][column], rows[b][column], up ? 1 : -1));
  }

  const find = () => {
    const wanted = readFilter(address.get(names.filter), keys);
    return order().filter((i) => wanted.every((part) => fits(i, part)));
  };

  function draw() {
    const asked = address.get(names.filter);
    if (filter.value !== asked) filter.value = asked;
    const seen = chosen();
    [...head.cells].forEach((cell, i) => (cell.hidden = !seen[i]));
    [...ticked.querySelectorAll("input")].forEach((tick, i) =>
      (tick.checked = seen[i + 1]));
    const found = find();
    body.replaceChildren();
    found.slice(0, limit).forEach((i) => addRow(i, seen));
    const some = found.length > limit;
    const rest = some ? `, the first ${limit} are shown` : "";
    count.textContent = `${found.length} of ${rows.length} ${what}${rest}`;
    all.hidden = !some;
  }

  function sort(column) {
    const cell = head.cells[column];
    // The first click brings the large numbers, but the first words.
    const up = cell.ariaSort
      ? cell.ariaSort === "descending"
      : words[column];
    address.set({
      [names.sort]: [keys[column]], [names.order]: [up ? "up" : "down"],
    });
  }

  columns.forEach((name, i) => {
    const cell = make(head, "th", {
      scope: "col",
      class: words[i] ? "words" : "",
    });
    const label = { type: "button", text: name.replaceAll("_", " ") };
    make(cell, "button", label).onclick = () => sort(i);
    if (!i) return;
    const line = make(ticked, "label");
    make(line, "input", { type: "checkbox" }).onchange = () => {
      const ticks = [...ticked.querySelectorAll("input")];
      const kept = keys.filter((_, at) => !at || ticks[at - 1].checked);
      address.set({ [names.columns]: [kept.join(" ")] });
    };
    line.append(` ${label.text}`);
  });
  // What is shown, in its order, with the rows that are too many to show.
  const take = (cells) => {
    const seen = chosen();
    return find().map((i) => cells[i].filter((_, at) => seen[at]));
  };
  const heads = () => columns.filter((_, i) => chosen()[i]);
  const csv = () => toCsv(heads(), take(rows));
  const latex = () => toLatex(
    heads().map((name) => name.replaceAll("_", " ")), take(shown),
    words.filter((_, i) => chosen()[i]));
  offerCopy(files, "Copy CSV", csv);
  offerFile(files, "Save CSV", () => `${nameAfter(what)}.csv`, csv);
  offerCopy(files, "Copy LaTeX", latex);
  offerFile(files, "Save LaTeX", () => `${nameAfter(what)}.tex`, latex);
  filter.oninput = () =>
    address.set({ [names.filter]: filter.value ? [filter.value] : [] });
  all.onclick = () => {
    limit = Infinity;
    draw();
  };
  together.onclick = openTicked;
  address.follow(Object.values(names), draw);
  address.follow([ticks], tickAll);
}
