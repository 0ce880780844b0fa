// Scores with intervals on one axis, and a vertical line for each group that cannot be told apart.
function drawGroups(view, place) {
  const { systems, groups } = view.data;
  const chosen = view.shown.filter((i) => systems[i].tested);
  if (!chosen.length) return place.replaceChildren(make("p", { class: "empty" }, "No tested system is shown."));
  const row = new Map(chosen.map((i, k) => [i, k]));
  const visible = groups.map((group) => ({ ...group, systems: group.systems.filter((i) => row.has(i)) }))
    .filter((group) => group.systems.length);
  const extra = visible.length * 16 + 8;
  const width = Math.max(place.clientWidth, 250 + extra);
  const known = chosen.flatMap((i) => [systems[i].low, systems[i].high, systems[i].score]).filter((v) => v !== null);
  const { x, y, height, parts } = lines(view, chosen, known, width, extra);
  const marks = chosen.map((i, k) => {
    const { name, score, low, high, shown } = systems[i];
    const mark = draw("g", { class: "mark" }, draw("title", {}, `${name}: ${shown[0]} ${shown[1]}`));
    if (low !== null) mark.append(draw("line", { class: "reach", x1: x(low), x2: x(high), y1: y(k), y2: y(k) }));
    mark.append(draw("circle", { cx: x(score), cy: y(k), r: 4.5 }));
    return mark;
  });
  const bars = visible.map((group, k) => {
    const at = width - extra + 10 + k * 16;
    const rows = group.systems.map((i) => row.get(i));
    return draw("g", { class: "group" },
      draw("title", {}, `Group ${group.letter}: ${group.systems.map((i) => systems[i].name).join(", ")}`),
      draw("text", { x: at, y: 12, "text-anchor": "middle" }, group.letter),
      draw("line", { x1: at, x2: at, y1: y(Math.min(...rows)) - 5, y2: y(Math.max(...rows)) + 5 }),
      rows.map((r) => draw("circle", { cx: at, cy: y(r), r: 3.5 })));
  });
  const label = `Scores of ${chosen.length} systems with intervals, and ${visible.length} groups; the ranking holds the numbers`;
  place.replaceChildren(figure(width, height, label, parts, marks, bars));
}
