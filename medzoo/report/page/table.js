// A table that sorts by a click on a column and filters as one types.

const FIRST_ROWS = 300;

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

function makeTable(parent, { columns, rows }, { what, open, mark }) {
  const controls = make(parent, "div", { class: "controls" });
  const filter = make(controls, "input", {
    type: "search",
    placeholder: `Filter ${what}: words that a row must hold`,
    "aria-label": `Filter ${what}`,
  });
  const count = make(controls, "span", { class: "quiet", role: "status" });
  const all = make(controls, "button", { type: "button", text: "Show all" });
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
  const texts = shown.map((row) => row.join(" ").toLowerCase());
  let order = rows.map((_, i) => i);
  let limit = FIRST_ROWS;

  function addRow(index) {
    const line = make(body, "tr");
    if (mark?.(rows[index])) line.classList.add("best");
    shown[index].forEach((text, i) => {
      const cell = make(line, "td", { class: words[i] ? "words" : "" });
      // The button opens by keyboard: its click reaches the row.
      const button = { type: "button", "aria-haspopup": "dialog", text };
      if (open && !i) make(cell, "button", button);
      else cell.textContent = text;
    });
    if (!open) return;
    line.classList.add("opens");
    line.onclick = () => open(columns, shown[index]);
  }

  function draw() {
    const wanted = filter.value.toLowerCase().split(/\s+/);
    const found = order.filter((i) => wanted.every((w) => texts[i].includes(w)));
    body.replaceChildren();
    found.slice(0, limit).forEach(addRow);
    const some = found.length > limit;
    const rest = some ? `, the first ${limit} are shown` : "";
    count.textContent = `${found.length} of ${rows.length} ${what}${rest}`;
    all.hidden = !some;
  }

  function sort(column, cell) {
    // The first click brings the large numbers, but the first words.
    const up = cell.ariaSort
      ? cell.ariaSort === "descending"
      : words[column];
    for (const other of head.cells) other.ariaSort = null;
    cell.ariaSort = up ? "ascending" : "descending";
    const sign = up ? 1 : -1;
    order.sort((a, b) => compare(rows[a][column], rows[b][column], sign));
    draw();
  }

  columns.forEach((name, i) => {
    const cell = make(head, "th", {
      scope: "col",
      class: words[i] ? "words" : "",
    });
    const label = { type: "button", text: name.replaceAll("_", " ") };
    make(cell, "button", label).onclick = () => sort(i, cell);
  });
  filter.oninput = draw;
  all.onclick = () => {
    limit = Infinity;
    draw();
  };
  draw();
}
