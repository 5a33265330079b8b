// The list of studies; the address keeps how it is sorted and filtered.

const heads = [...document.querySelectorAll("#studies th")];
const body = document.querySelector("#studies tbody");
const rows = [...body.rows].map((row) => ({
  row,
  tasks: JSON.parse(row.dataset.tasks),
  text: row.textContent.toLowerCase(),
  cells: [...row.cells].map(({ dataset, textContent }) => {
    if (dataset.value) return Number(dataset.value);
    return dataset.value === undefined && textContent ? textContent : null;
  }),
}));
const boxes = ["task", "filter"].map((id) => document.getElementById(id));

// A column that the address does not name sorts nothing.
function draw() {
  for (const box of boxes) {
    const value = address.get(box.id);
    if (box.value !== value) box.value = value;
  }
  const [task, filter] = boxes.map((box) => box.value);
  const words = filter.toLowerCase().split(/\s+/);
  const found = rows.filter(({ tasks, text }) =>
    (!task || tasks.includes(task)) && words.every((w) => text.includes(w)));
  const at = heads.findIndex((h) => h.textContent === address.get("sort"));
  const up = address.get("order") !== "down";
  if (at >= 0)
    found.sort((a, b) => compare(a.cells[at], b.cells[at], up ? 1 : -1));
  heads.forEach((head, i) => {
    head.ariaSort = i === at ? (up ? "ascending" : "descending") : null;
  });
  body.replaceChildren(...found.map(({ row }) => row));
  const count = document.getElementById("count");
  count.textContent = `${found.length} of ${rows.length}`;
}

for (const box of boxes)
  box.oninput = () => address.set({ [box.id]: box.value ? [box.value] : [] });
for (const head of heads)
  head.firstChild.onclick = () => {
    // The first click brings the large numbers, but the first words.
    const up = head.ariaSort
      ? head.ariaSort === "descending"
      : head.classList.contains("words");
    address.set({ sort: [head.textContent], order: [up ? "up" : "down"] });
  };
address.follow(["task", "filter", "sort", "order"], draw);
