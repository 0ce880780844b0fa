// Sorting and filtering. The value to sort by stands in data-sort; lines without one stay last.
function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (button) button.addEventListener("click", () => sortBy(table, heads, column));
  });
}

function sortBy(table, heads, column) {
  const head = heads[column];
  const first = head.classList.contains("number") ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  heads.forEach((one) => one.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const numeric = head.classList.contains("number");
  const value = (row) => {
    const text = row.cells[column].dataset.sort;
    return text === undefined ? null : numeric ? Number(text) : text;
  };
  const keyed = [...table.tBodies[0].rows].map((row) => [value(row), row]);
  keyed.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : sign * ((a > b) - (a < b))));
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

// The systems that a form of filters lets through, as indices in the order of the board.
function passing(form, systems) {
  const wanted = (name) => (form.elements[name] ? form.elements[name].value : "");
  const part = wanted("name").trim().toLowerCase();
  return systems.flatMap((system, i) => {
    const fits =
      system.name.toLowerCase().includes(part) &&
      (!wanted("family") || system.family === wanted("family")) &&
      (!wanted("context") || system.context === wanted("context")) &&
      (!wanted("modality") || system.modality.includes(wanted("modality"))) &&
      (!form.elements.top.checked || system.top);
    return fits ? [i] : [];
  });
}

function showOnly(panel, shown) {
  const kept = new Set(shown);
  for (const row of panel.querySelectorAll("tr[data-system]")) row.hidden = !kept.has(Number(row.dataset.system));
}
