// The page comes to life: tabs, filters, and figures that are drawn when their dataset is first shown.
const FIGURES = {
  groups: drawGroups, pairs: drawPairs, confusion: drawConfusion, cost: drawCost, seeds: drawSeeds, dialogues: drawDialogues,
};

const page = JSON.parse(document.getElementById("data").textContent);
const views = page.panels.map((data, i) => ({
  data, level: page.level, element: document.getElementById(`panel-${i}`), shown: data.systems.map((_, k) => k), drawn: false,
}));
views.forEach(prepare);

const tabs = [...document.querySelectorAll("[role=tab]")];
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => select(i));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) select((i + step + tabs.length) % tabs.length, true);
  });
});
select(0);

let width = window.innerWidth;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return; // a phone hides its address bar
  width = window.innerWidth;
  views.forEach((view) => (view.drawn = false));
  drawAll(views.find((view) => !view.element.hidden));
});
document.documentElement.dataset.ready = "yes";

function select(chosen, focus = false) {
  tabs.forEach((tab, i) => {
    tab.setAttribute("aria-selected", String(i === chosen));
    tab.tabIndex = i === chosen ? 0 : -1;
  });
  if (focus) tabs[chosen].focus();
  views.forEach((view, i) => (view.element.hidden = i !== chosen));
  drawAll(views[chosen]);
}

function prepare(view) {
  view.element.querySelectorAll("table.sortable").forEach(sortable);
  const form = view.element.querySelector("form.filters");
  const filter = () => {
    view.shown = passing(form, view.data.systems);
    showOnly(view.element, view.shown);
    form.querySelector("output").textContent = `${view.shown.length} of ${view.data.systems.length} systems`;
    view.drawn = false;
    if (!view.element.hidden) drawAll(view);
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelector("output").textContent = `${view.data.systems.length} of ${view.data.systems.length} systems`;
  view.element.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-system]");
    if (link) chooseSystem(view, place(view, "confusion"), Number(link.dataset.system));
  });
  if (view.data.corpus) view.openDialogues = (a, b) => {
    Object.assign(view.asked, { a, b, relation: "right_wrong", page: 0 });
    drawDialogues(view, place(view, "dialogues"));
    place(view, "dialogues").scrollIntoView();
  };
}

function place(view, name) {
  return view.element.querySelector(`[data-figure=${name}]`);
}

function drawAll(view) {
  if (view.drawn) return;
  view.drawn = true;
  for (const [name, drawFigure] of Object.entries(FIGURES)) if (place(view, name)) drawFigure(view, place(view, name));
}
