// Scales and axes of the figures.
function scale([low, high], [from, to], logarithmic = false) {
  const place = logarithmic ? Math.log10 : (value) => value;
  const width = place(high) - place(low) || 1;
  return (value) => from + ((place(value) - place(low)) / width) * (to - from);
}

// Round numbers between two ends: steps of 1, 2 or 5.
function ticks(low, high, wanted = 5) {
  const raw = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, i) => (first + i) * step);
}

function powers(low, high) {
  const first = Math.ceil(Math.log10(low));
  const last = Math.floor(Math.log10(high));
  const step = Math.max(1, Math.ceil((last - first) / 5));
  return Array.from({ length: Math.max(0, Math.floor((last - first) / step) + 1) }, (_, i) => 10 ** (first + i * step));
}

// Ends of some numbers, with room on both sides.
function ends(values, room = 0.05) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = (high - low) * room || 0.01;
  return [low - margin, high + margin];
}

const percentTick = (share) => String(Number((100 * share).toPrecision(4)));

function figure(width, height, label, ...children) {
  return draw("svg", { class: "plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    children);
}

// Names on the left, a scale of scores across, one line a system: what groups and seeds share.
function lines(view, chosen, values, width, extra = 0) {
  const left = Math.min(260, width * 0.38);
  const x = scale(ends(values), [left + 12, width - 14 - extra]);
  const y = (row) => 34 + row * 24;
  const bottom = 34 + chosen.length * 24;
  const parts = ticks(...ends(values), width < 500 ? 3 : 6).map((tick) => [
    draw("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 20, y2: bottom - 8 }),
    draw("text", { class: "tick", x: x(tick), y: 12, "text-anchor": "middle" }, percentTick(tick)),
  ]);
  const names = chosen.map((i, row) => {
    const { name, top } = view.data.systems[i];
    const text = draw("text", { class: top ? "name top" : "name", x: left, y: y(row) + 4, "text-anchor": "end" },
      cut(name, Math.floor(left / 7.8)));
    text.append(draw("title", {}, name));
    return text;
  });
  return { x, y, height: bottom, parts: [parts.flat(), names] };
}
