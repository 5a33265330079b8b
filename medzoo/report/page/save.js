// Buttons that copy a text or save it as a file. Nothing leaves the browser.

const TYPES = {
  csv: "text/csv", tex: "application/x-tex", bib: "application/x-bibtex",
  svg: "image/svg+xml",
};
const SHORTEST_SAID = 1500;

// A file name without what a system could not keep.
const fileName = (...parts) => parts.join(" ").replace(/[^\p{L}\p{N}.-]+/gu, "_")
  .slice(0, 80);

function save(name, text) {
  const type = TYPES[name.split(".").at(-1)];
  const href = URL.createObjectURL(new Blob([text], { type }));
  make(null, "a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

// Where a browser keeps the clipboard from a page, selected text is copied.
async function copy(text, near) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const box = make(near, "textarea");
    box.value = text;
    box.select();
    document.execCommand("copy");
    box.remove();
  }
}

// Puts a button that copies into a node; it has the focus again afterwards.
function offerCopy(parent, label, write) {
  const button = make(parent, "button", { type: "button", text: label });
  const said = make(parent, "span", { class: "quiet", role: "status" });
  button.onclick = async () => {
    await copy(write(), parent);
    button.focus();
    said.textContent = "Copied.";
    setTimeout(() => (said.textContent = ""), SHORTEST_SAID);
  };
}

function offerFile(parent, label, name, write) {
  const button = make(parent, "button", { type: "button", text: label });
  button.onclick = () => save(name(), write());
}

const nameAfter = (text) => fileName(document.title, text);

// A cell as numbers that a program reads: an interval has a column an end.
function spread(cell, wide) {
  if (!Array.isArray(cell)) return wide ? [cell, null, null] : [cell];
  const [value, half] = cell;
  if (cell.length === 3) return cell;
  if (cell.length === 4) return [value, ...cell.slice(2)];
  return half === null ? [value, null, null] : [value, value - half, value + half];
}

function quote(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  // A spreadsheet would compute a text that begins so.
  const text = /^[=+\-@\t]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function toCsv(columns, rows) {
  const wide = columns.map((_, i) => rows.some((row) => Array.isArray(row[i])));
  const names = columns.flatMap((name, i) =>
    wide[i] ? [name, `${name} low`, `${name} high`] : [name]);
  const lines = rows.map((row) =>
    row.flatMap((cell, i) => spread(cell, wide[i])));
  return [names, ...lines].map((line) => `${line.map(quote).join(",")}\n`).join("");
}

const LATEX = {
  "\\": "\\textbackslash{}", "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}", "<": "$<$", ">": "$>$", "\u2212": "$-$",
  "\u2013": "--", "|": "\\textbar{}", "\u00b1": "$\\pm$",
  "\u00d7": "$\\times$", "[": "{[}", "]": "{]}",
};
const escapeLatex = (text) =>
  text.replace(/[\\~^<>\u2212\u2013|\u00b1\u00d7[\]&%$#_{}]/g,
    (sign) => LATEX[sign] ?? `\\${sign}`);

// Texts of a table as LaTeX with `booktabs`; words to the left.
function toLatex(columns, rows, words) {
  const line = (cells) => `${cells.map(escapeLatex).join(" & ")} \\\\`;
  const sides = words.map((word) => (word ? "l" : "r")).join("");
  return [
    `\\begin{tabular}{${sides}}`, "\\toprule", line(columns), "\\midrule",
    ...rows.map(line), "\\bottomrule", "\\end{tabular}", "",
  ].join("\n");
}

// What a chart looks like, as the page's style sheet is not in its file.
const LOOK = [
  "fill", "fill-opacity", "font-family", "font-size", "font-weight", "opacity",
  "paint-order", "stroke", "stroke-dasharray", "stroke-linecap", "stroke-opacity",
  "stroke-width", "text-anchor",
];

function copyLook(from, to) {
  const style = getComputedStyle(from);
  for (const name of LOOK) to.setAttribute(name, style.getPropertyValue(name));
  to.removeAttribute("class");
}

// Draws a chart in light colours, as one that needs no page.
function toSvg(chart) {
  const { width, height } = chart.viewBox.baseVal;
  const root = document.documentElement.style;
  const scheme = root.colorScheme;
  root.colorScheme = "light";
  const whole = draw(null, "svg", {
    width, height, viewBox: `0 0 ${width} ${height}`,
  });
  draw(whole, "rect", { width, height, fill: "#ffffff" });
  const own = chart.cloneNode(true);
  const copies = own.querySelectorAll("*");
  chart.querySelectorAll("*").forEach((node, at) => {
    if (!node.children.length) copyLook(node, copies[at]);
  });
  // What only the pointer feels.
  own.querySelectorAll('[opacity="0"]').forEach((node) => node.remove());
  whole.append(...own.children);
  root.colorScheme = scheme;
  return `${new XMLSerializer().serializeToString(whole)}\n`;
}
