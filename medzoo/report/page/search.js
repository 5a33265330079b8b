// Fills the page of a search from the data that are embedded in it.

const data = JSON.parse(document.getElementById("data").textContent);
const { columns, rows } = data.table;
const cellOf = (row, name) => row[columns.indexOf(name)];
const scored = rows.filter((row) => cellOf(row, data.objective) !== null);

function showBest(box) {
  const inTurn = [...scored].sort((a, b) => a[0] - b[0]);
  const x = inTurn.map((row) => row[0]);
  const y = inTurn.map((row) => cellOf(row, data.objective));
  const best = y.map((_, i) => Math.max(...y.slice(0, i + 1)));
  drawCurves(box, [
    { name: "a candidate", x, y, colour: "var(--quiet)", dash: "2 3" },
    { name: "the best so far", x, y: best, colour: "var(--c0)" },
  ], { xName: "candidate", yName: data.said, width: 1000 });
}

makeTable(document.getElementById("candidates"), data.table, {
  what: "candidates", mark: (row) => row === scored[0],
});
if (scored.length) {
  showBest(document.getElementById("best"));
  const names = [...data.space, data.objective];
  drawParallel(document.getElementById("parallel"), {
    columns: [...data.space, data.said],
    rows: scored.map((row) => names.map((name) => cellOf(row, name))),
  }, { names: scored.map((row) => `candidate ${row[0]}`) });
}
