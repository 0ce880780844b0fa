// Score against size, time and price, with the front of systems that no other beats at the same or a lower cost.
function drawCost(view, place) {
  const plots = view.data.axes.map((axis) => costPlot(view, axis, place)).filter((plot) => plot !== null);
  place.replaceChildren(...(plots.length ? plots : [make("p", { class: "empty" }, "No shown run tells its size or cost.")]));
}

function costPlot(view, axis, place) {
  const points = view.shown.flatMap((i) => {
    const system = view.data.systems[i];
    const cost = system.costs[axis.key];
    return cost && cost[0] > 0 && system.score !== null ? [{ system, cost: cost[0], shown: cost[1] }] : [];
  });
  if (!points.length) return null;
  points.sort((a, b) => a.cost - b.cost || b.system.score - a.system.score);
  let best = -Infinity;
  const front = points.filter(({ system }) => system.score > best && ((best = system.score), true));
  const width = Math.min(place.clientWidth - 36, Math.max(300, Math.min(480, (place.clientWidth - 32) / 3 - 36)));
  const [height, left, bottom] = [300, 44, 262];
  const costs = points.map((point) => point.cost);
  const [low, high] = [Math.min(...costs) / 1.6, Math.max(...costs) * 1.6];
  const x = scale([low, high], [left + 6, width - 16], true);
  const range = ends(points.map((point) => point.system.score), 0.12);
  const y = scale(range, [bottom, 26]);
  const steps = front.map((point, k) => `${k ? `H${x(point.cost)}V` : `M${x(point.cost)},`}${y(point.system.score)}`).join("");
  const parts = [
    ticks(...range).map((tick) => [
      draw("line", { class: "grid", x1: left, x2: width - 8, y1: y(tick), y2: y(tick) }),
      draw("text", { class: "tick", x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, percentTick(tick))]),
    powers(low, high).map((tick) => [
      draw("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 20, y2: bottom }),
      draw("text", { class: "tick", x: x(tick), y: bottom + 16, "text-anchor": "middle" }, costTick(axis.key, tick))]),
    draw("path", { class: "front", d: steps + (front.length ? `H${width - 8}` : "") }),
    points.map(({ system, cost, shown }) => draw("circle", {
      class: front.some((point) => point.system === system) ? "point best" : "point", cx: x(cost), cy: y(system.score), r: 5 },
      draw("title", {}, `${system.name}: ${system.shown[0]} at ${shown}`))),
    frontNames(front, x, y, width),
  ];
  const label = `${view.data.metric} against: ${axis.title}. ${points.length} systems; on the front: ${front.map((p) => p.system.name).join(", ")}`;
  return make("div", { class: "card" }, make("h4", {}, axis.title), figure(width, height, label, parts.flat(2),
    draw("text", { class: "tick", x: left - 6, y: 14, "text-anchor": "end" }, cut(view.data.metric, 9))));
}

// Names above or below the best points of the front, where there is room.
function frontNames(front, x, y, width) {
  const taken = [];
  return [...front].reverse().slice(0, 4).flatMap(({ system, cost }) => {
    const name = cut(system.name, 26);
    const reach = name.length * 6.4;
    const start = Math.max(46, Math.min(width - 4 - reach, x(cost) - reach / 2));
    const free = (height) => taken.every(([from, to, other]) => start > to || start + reach < from || Math.abs(height - other) > 13);
    const height = [y(system.score) - 9, y(system.score) + 19].find(free);
    if (height === undefined) return [];
    taken.push([start, start + reach, height]);
    return [draw("text", { class: "name", x: start, y: height }, name)];
  });
}

function costTick(key, value) {
  if (key === "usd") return `$${value}`;
  if (key === "seconds") return value >= 1 ? `${value} s` : value >= 1e-3 ? `${Math.round(value * 1e3)} ms` : `${Math.round(value * 1e6)} µs`;
  return value >= 1e9 ? `${value / 1e9} B` : value >= 1e6 ? `${value / 1e6} M` : value >= 1e3 ? `${value / 1e3} k` : String(value);
}
