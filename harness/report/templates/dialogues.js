// Dialogues with every system's label. A target is an utterance with a gold label; answers are one character a target.
const CODES = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const PER_PAGE = 10;

const RELATIONS = {
  any: ["any answers", () => true],
  right_wrong: ["A right, B wrong", (a, b) => a && !b],
  wrong_right: ["A wrong, B right", (a, b) => !a && b],
  both_wrong: ["both wrong", (a, b) => !a && !b],
  both_right: ["both right", (a, b) => a && b],
};

function drawDialogues(view, place) {
  if (!view.shown.length) return place.replaceChildren(make("p", { class: "empty" }, "No system is shown."));
  view.targets ??= numberTargets(view.data.corpus.dialogues);
  const asked = (view.asked ??= { a: 0, b: 1, relation: "any", gold: "", speaker: "", shift: "", low: "", high: "", text: "", page: 0 });
  if (!view.shown.includes(asked.a)) asked.a = view.shown[0];
  if (!view.shown.includes(asked.b)) asked.b = view.shown[Math.min(1, view.shown.length - 1)];
  const list = make("div", { class: "dialogues" });
  const found = make("output", { "aria-live": "polite" });
  const show = () => listDialogues(view, list, found, show);
  const ask = (key, read = (value) => value) => (event) => {
    asked[key] = read(event.target.value);
    asked.page = 0;
    show();
  };
  const speakers = [...new Set(view.data.corpus.dialogues.flatMap((dialogue) => dialogue.utterances.map((row) => row[0])))].sort();
  const field = (label, key, type) => make("label", {}, `${label} `, make("input", { type, value: asked[key], min: type === "number" ? 1 : null, oninput: ask(key) }));
  place.replaceChildren(make("div", { class: "choices" },
    choice("A", systemOptions(view), asked.a, ask("a", Number)),
    choice("B", systemOptions(view), asked.b, ask("b", Number)),
    choice("Answers", Object.entries(RELATIONS).map(([key, [title]]) => [key, title]), asked.relation, ask("relation")),
    choice("Gold", [["", "any"], ...view.data.labels.map((label, i) => [i, label])], asked.gold, ask("gold")),
    choice("Emotion shift", [["", "any"], ["1", "shift"], ["0", "no shift"]], asked.shift, ask("shift")),
    choice("Speaker", [["", "any"], ...speakers.map((name) => [name, name])], asked.speaker, ask("speaker")),
    field("Utterances from", "low", "number"), field("to", "high", "number"), field("Text", "text", "search"), found), list);
  show();
}

// The running number of each target, by dialogue and utterance; -1 where there is no gold label.
function numberTargets(dialogues) {
  let n = 0;
  return dialogues.map((dialogue) => dialogue.utterances.map(([, , gold]) => (gold < 0 ? -1 : n++)));
}

const answerOf = (view, system, target) => CODES.indexOf(view.data.corpus.answers[system][target]);

function matching(view) {
  const { asked, targets } = view;
  const { dialogues } = view.data.corpus;
  const relation = RELATIONS[asked.relation][1];
  const text = asked.text.trim().toLowerCase();
  const fits = ([speaker, said, gold, shift], target) =>
    target >= 0 && (asked.gold === "" || gold === Number(asked.gold)) && (asked.speaker === "" || speaker === asked.speaker) &&
    (asked.shift === "" || shift === Number(asked.shift)) && (!text || said.toLowerCase().includes(text)) &&
    relation(answerOf(view, asked.a, target) === gold, answerOf(view, asked.b, target) === gold);
  return dialogues.flatMap((dialogue, d) => {
    const n = dialogue.utterances.length;
    if ((asked.low && n < Number(asked.low)) || (asked.high && n > Number(asked.high))) return [];
    const hits = new Set(dialogue.utterances.flatMap((row, u) => (fits(row, targets[d][u]) ? [u] : [])));
    return hits.size ? [{ d, hits }] : [];
  });
}

function listDialogues(view, list, found, show) {
  const all = matching(view);
  const n = all.reduce((sum, { hits }) => sum + hits.size, 0);
  found.textContent = `${n} utterances in ${all.length} dialogues`;
  const pages = Math.ceil(all.length / PER_PAGE);
  const turn = (step) => () => {
    view.asked.page += step;
    show();
  };
  const from = view.asked.page * PER_PAGE;
  list.replaceChildren(...all.slice(from, from + PER_PAGE).map((one) => dialogueCard(view, one)));
  if (pages > 1) list.append(make("div", { class: "pages" },
    make("button", { type: "button", onclick: turn(-1), disabled: view.asked.page === 0 }, "Earlier"),
    ` page ${view.asked.page + 1} of ${pages} `,
    make("button", { type: "button", onclick: turn(1), disabled: view.asked.page === pages - 1 }, "Later")));
}

function dialogueCard(view, { d, hits }) {
  const dialogue = view.data.corpus.dialogues[d];
  return make("div", { class: "card dialogue" }, make("h4", {}, `Dialogue ${dialogue.id}`),
    make("ol", {}, dialogue.utterances.map((row, u) => utteranceLine(view, row, view.targets[d][u], hits.has(u)))));
}

function utteranceLine(view, [speaker, said, gold, shift], target, hit) {
  const { labels } = view.data;
  const line = make("li", { class: hit ? "hit" : null }, make("p", { dir: "auto" }, make("b", {}, `${speaker}: `), said));
  if (target < 0) return line;
  const name = (label) => (label < 0 ? "no label" : labels[label]);
  const chip = (who, system) => {
    const label = answerOf(view, system, target);
    return make("span", { class: label === gold ? "chip good" : "chip bad", title: view.data.systems[system].name },
      `${who}: ${name(label)} ${label === gold ? "✓" : "✗"}`);
  };
  const right = view.shown.filter((i) => answerOf(view, i, target) === gold).length;
  const every = make("details", { ontoggle: (event) => {
    if (event.target.open && event.target.childElementCount === 1) event.target.append(everyAnswer(view, gold, target));
  } }, make("summary", {}, `${right} of ${view.shown.length} right`));
  line.append(make("div", { class: "answers" }, make("span", { class: "chip" }, `gold: ${name(gold)}${shift ? " (shift)" : ""}`),
    chip("A", view.asked.a), chip("B", view.asked.b), every));
  return line;
}

function everyAnswer(view, gold, target) {
  const byLabel = new Map();
  for (const i of view.shown) {
    const label = answerOf(view, i, target);
    byLabel.set(label, [...(byLabel.get(label) ?? []), view.data.systems[i].name]);
  }
  const rows = [...byLabel].sort(([a], [b]) => (b === gold) - (a === gold) || a - b);
  return make("dl", {}, rows.map(([label, names]) => make("div", {},
    make("dt", {}, `${label < 0 ? "no label" : view.data.labels[label]}${label === gold ? " ✓" : ""}`), make("dd", {}, names.join(", ")))));
}
