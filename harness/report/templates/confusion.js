// What the labels of one system, or of two beside each other, were taken for, and how it was made.
const HEATS = 10;

function drawConfusion(view, place) {
  if (!view.shown.length) return place.replaceChildren(make("p", { class: "empty" }, "No system is shown."));
  const known = (i) => view.shown.includes(i);
  view.system = known(view.system) ? view.system : view.shown[0];
  view.beside = known(view.beside) ? view.beside : -1;
  const choices = make("div", { class: "choices" },
    choice("System", systemOptions(view), view.system, (event) => chooseSystem(view, place, Number(event.target.value))),
    choice("beside", [[-1, "none"], ...systemOptions(view)], view.beside, (event) => {
      view.beside = Number(event.target.value);
      drawConfusion(view, place);
    }));
  const both = view.beside < 0 ? [view.system] : [view.system, view.beside];
  place.replaceChildren(choices, make("div", { class: "beside" }, both.map((i) => systemCard(view.data, i))));
}

function chooseSystem(view, place, i) {
  view.system = i;
  drawConfusion(view, place);
}

function systemCard(data, i) {
  const system = data.systems[i];
  const empty = system.confusion.every((row) => row.at(-1) === 0);
  const labels = empty ? data.labels : [...data.labels, "no label"];
  const head = make("tr", {}, make("th", { scope: "col" }, "gold"), labels.map((label) => make("th", { scope: "col", class: "number" }, label)),
    make("th", { scope: "col", class: "number" }, "n"));
  const rows = system.confusion.map((counts, gold) => {
    const total = counts.reduce((sum, count) => sum + count, 0);
    return make("tr", {}, make("th", { scope: "row" }, data.labels[gold]),
      labels.map((label, k) => confusionCell(counts[k], total, `${data.labels[gold]} taken for ${label}`, gold === k)),
      make("td", {}, total));
  });
  const name = `Confusions of ${system.name}`;
  return make("div", { class: "card" }, make("h4", {}, system.name, " ", make("small", {}, `${system.shown[0]} ${system.shown[1]}`)),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": name },
      make("table", { class: "confusion", "aria-label": name }, make("thead", {}, head), make("tbody", {}, rows))),
    make("dl", { class: "about" }, system.about.map(([key, value]) => make("div", {}, make("dt", {}, key), make("dd", {}, value)))));
}

function confusionCell(count, total, words, right) {
  const share = total ? count / total : 0;
  const heat = Math.min(HEATS - 1, Math.floor(HEATS * share));
  return make("td", { class: `heat-${heat}${right ? " right" : ""}`, title: `${words}: ${count} of ${total}` },
    count ? Math.round(100 * share) : "");
}
