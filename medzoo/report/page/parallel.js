// Parallel coordinates: an axis a column, a line a row.

// Places of the cells of a column from 0 to 1, and what to write beside them.
// Words, and few values of an axis, lie at equal distances; numbers on a scale.
function makeAxis(name, cells) {
  const known = [...new Set(cells.map(valueOf).filter((v) => v !== null))];
  const numbers = known.map(Number);
  const isNumber = !numbers.some(isNaN);
  const said = (v) => (typeof v === "number" ? format(v) : String(v));
  known.sort((a, b) => (isNumber ? a - b : String(a).localeCompare(b)));
  const isMeasured = known.every((v) => typeof v === "number");
  if (isNumber && known.length > 1 && (isMeasured || known.length > 6)) {
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
    const log = low > 0 && high / low > 30;
    const at = makeScale([low, high], [0, 1], log);
    const marks = [known[0], known.at(-1)].map((v) => [said(v), at(Number(v))]);
    return { name, marks, place: (cell) => at(Number(valueOf(cell))) };
  }
  const place = (cell) => known.length < 2 ? 0.5
    : known.indexOf(valueOf(cell)) / (known.length - 1);
  return { name, place, marks: known.map((v) => [said(v), place(v)]) };
}

// The last column is the score. A row without a value passes below the axis.
// `names` are those of the rows; `open` gets that of a line that is clicked.
function drawParallel(parent, { columns, rows }, { names, open }) {
  const axes = columns.map((name, i) => makeAxis(name, rows.map((r) => r[i])));
  const lines = rows.map((row) => axes.map((axis, i) =>
    valueOf(row[i]) === null ? null : axis.place(row[i])));
  const controls = make(parent, "div", { class: "controls" });
  const figure = make(parent, "div", { class: "scroll" });
  const said = make(parent, "p", { class: "quiet", role: "status" });
  const paths = [];
  let chosen = -1;
  // What the pointer is over, else what is chosen.
  const light = (row = chosen) => {
    paths.forEach(({ line, opacity }, i) => {
      line.setAttribute("stroke", i === row ? "var(--c1)" : "var(--c0)");
      line.setAttribute("stroke-width", i === row ? 4 : 1.5);
      line.setAttribute("stroke-opacity", i === row ? 1 : opacity);
    });
    if (row >= 0) paths[row].line.parentNode.append(paths[row].line);
    const tell = (i) => `${columns[i]} ${format(rows[row][i]) || "none"}`;
    said.textContent = row < 0 ? ""
      : `${names[row]}: ${columns.map((_, i) => tell(i)).join(", ")}`;
  };
  const paint = () => {
    const width = Math.max(widthOf(parent, 1000), 105 * columns.length);
    const [top, low, height] = [30, 250, 290];
    const svg = draw(figure, "svg", {
      viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
      "aria-label": `parallel coordinates of ${columns.join(", ")}`,
      style: "max-width: none",
    });
    const atX = (i) => 50 + (i * (width - 120)) / (columns.length - 1);
    const atY = (share) => (share === null ? low + 28 : low - share * (low - top));
    const cut = (text) => (text.length > 15 ? `${text.slice(0, 14)}…` : text);
    paths.length = 0;
    const group = draw(svg, "g", { fill: "none" });
    lines.forEach((line, row) => {
      const d = line.map((share, i) =>
        `${i ? "L" : "M"}${atX(i).toFixed(1)} ${atY(share).toFixed(1)}`).join("");
      const opacity = 0.2 + 0.6 * (line.at(-1) ?? 0);
      paths.push({ line: draw(group, "path", { d }), opacity });
      const wide = draw(svg, "path", {
        d, fill: "none", stroke: "var(--c0)", "stroke-width": 9, opacity: 0,
      });
      wide.onpointerenter = () => light(row);
      wide.onpointerleave = () => light();
      if (open) wide.onclick = () => open(names[row]);
    });
    axes.forEach(({ name, marks }, i) => {
      const x = atX(i);
      draw(svg, "line", { class: "grid", x1: x, x2: x, y1: top, y2: low });
      const side = i ? "middle" : "start";
      const left = i ? x : Math.max(4, x - 46);
      draw(svg, "text", { x: left, y: 14, "text-anchor": side, class: "quiet" },
        cut(name));
      for (const [text, share] of marks)
        draw(svg, "text", { x: x + 5, y: atY(share) + 4, class: "label" },
          cut(text));
    });
    light();
  };
  lay(figure, paint, () => ({
    columns: ["", ...columns], rows: rows.map((row, i) => [names[i], ...row]),
  }));
  choose(controls, "Highlight", { "": "none", ...named(names) }, (name) => {
    chosen = names.indexOf(name);
    light();
  });
}
