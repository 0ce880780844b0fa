// The matrix of all pairs, and one pair in words.
const FEW = 14; // systems up to which cells hold digits

function drawPairs(view, place) {
  const { systems, pairs } = view.data;
  const chosen = view.shown.filter((i) => systems[i].tested);
  if (chosen.length < 2) return place.replaceChildren(make("p", { class: "empty" }, "Fewer than two tested systems are shown."));
  view.pairs ??= new Map(pairs.map((pair) => [`${pair.a} ${pair.b}`, pair]));
  const compact = chosen.length > FEW;
  const detail = make("div", { class: "detail", "aria-live": "polite" });
  const open = (a, b) => {
    detail.replaceChildren(...describePair(view, Math.min(a, b), Math.max(a, b)));
    choices.replaceChildren(...pairChoices(view, chosen, a, b, open));
  };
  const choices = make("div", { class: "choices" }, pairChoices(view, chosen, chosen[0], chosen[1], open));
  const head = make("tr", {}, make("td"), chosen.map((i, k) => make("th", { scope: "col", title: systems[i].name }, k + 1)));
  const rows = chosen.map((a, k) => make("tr", {},
    make("th", { scope: "row", title: systems[a].name }, make("span", { class: "place" }, k + 1), " ", systems[a].name),
    chosen.map((b) => pairCell(view, a, b, compact))));
  const table = make("table", { class: compact ? "matrix compact" : "matrix", role: "grid", "aria-label": "All pairs" },
    make("thead", {}, head), make("tbody", {}, rows));
  roving(table, (cell) => open(Number(cell.dataset.a), Number(cell.dataset.b)));
  place.replaceChildren(choices, detail, make("div", { class: "scroll" }, table));
  open(chosen[0], chosen[1]);
}

function pairCell(view, a, b, compact) {
  const pair = view.pairs.get(`${Math.min(a, b)} ${Math.max(a, b)}`);
  if (a === b || !pair) return make("td", { class: "diagonal" });
  const better = a < b ? pair.difference >= 0 : pair.difference < 0;
  const kind = `${better ? "better" : "worse"}${pair.different ? " different" : ""}`;
  const text = a < b ? pair.shown[0] : pair.shown[3];
  const names = `${view.data.systems[a].name} and ${view.data.systems[b].name}: ${text}`;
  return make("td", { class: kind, "data-a": a, "data-b": b, tabindex: -1, title: names, "aria-label": names },
    compact ? "" : text);
}

function pairChoices(view, chosen, a, b, open) {
  const options = chosen.map((i) => [i, view.data.systems[i].name]);
  const others = (i) => options.filter(([key]) => key !== i);
  return [
    choice("Compare", others(b), a, (event) => open(Number(event.target.value), b)),
    choice("with", others(a), b, (event) => open(a, Number(event.target.value))),
  ];
}

function describePair(view, a, b) {
  const { systems, metric } = view.data;
  const pair = view.pairs.get(`${a} ${b}`);
  if (!pair) return [make("p", {}, "This pair was not tested.")];
  const [difference, interval, p, adjusted] = pair.shown;
  const sentence = pair.different
    ? "The tests tell the two apart, after the correction over all pairs."
    : "The tests cannot tell the two apart, after the correction over all pairs.";
  const facts = [["Difference", `${difference} points of ${metric}`], [`${view.level} interval`, interval || "–"],
    ["p", p], ["p, corrected", adjusted]];
  const parts = [
    make("h4", {}, `${systems[a].name} (${systems[a].shown[0]}) against ${systems[b].name} (${systems[b].shown[0]})`),
    make("p", { class: pair.different ? "apart" : "level" }, sentence),
    make("dl", {}, facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
  ];
  if (view.openDialogues) parts.push(make("p", {},
    make("button", { type: "button", onclick: () => view.openDialogues(a, b) }, "Utterances where the first is right and the second wrong")));
  return parts;
}

// One cell of a grid is reached by Tab, the others by arrow keys.
function roving(table, open) {
  const rows = [...table.tBodies[0].rows].map((row) => [...row.cells]);
  const first = table.querySelector("td[data-a]");
  if (first) first.tabIndex = 0;
  const focus = (cell) => {
    table.querySelectorAll("td[tabindex='0']").forEach((one) => (one.tabIndex = -1));
    cell.tabIndex = 0;
    cell.focus();
  };
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td[data-a]");
    if (!cell) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open(cell);
    }
    if (!steps[event.key]) return;
    event.preventDefault();
    const [down, right] = steps[event.key];
    let [r, c] = [cell.parentElement.rowIndex - 1 + down, cell.cellIndex + right];
    while (rows[r] && rows[r][c] && rows[r][c].tagName === "TD" && !rows[r][c].dataset.a) [r, c] = [r + down, c + right];
    if (rows[r] && rows[r][c] && rows[r][c].dataset.a) focus(rows[r][c]);
  });
  table.addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-a]");
    if (!cell) return;
    focus(cell);
    open(cell);
  });
}
