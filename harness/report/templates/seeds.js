// The score of every run, where a system has several.
function drawSeeds(view, place) {
  const { systems } = view.data;
  const chosen = view.shown.filter((i) => systems[i].seeds.length > 1);
  if (!chosen.length) return place.replaceChildren(make("p", { class: "empty" }, "No shown system has several runs."));
  const width = Math.max(place.clientWidth, 280);
  const { x, y, height, parts } = lines(view, chosen, chosen.flatMap((i) => systems[i].seeds.map(([, score]) => score)), width);
  const marks = chosen.map((i, row) => draw("g", { class: "mark" },
    draw("line", { class: "mean", x1: x(systems[i].score), x2: x(systems[i].score), y1: y(row) - 8, y2: y(row) + 8 }),
    systems[i].seeds.map(([seed, score, shown]) => draw("circle", { class: "run", cx: x(score), cy: y(row), r: 4 },
      draw("title", {}, `${systems[i].name}, seed ${seed}: ${shown}`)))));
  place.replaceChildren(figure(width, height, `Scores of single runs of ${chosen.length} systems; the table below holds their ends`, parts, marks));
}
