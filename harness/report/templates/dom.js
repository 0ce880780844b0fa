// Elements from data. Text is always set as text: nothing here reads markup.
const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null));
  return element;
}

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// A labelled choice: options are [value, text].
function choice(label, options, value, onchange) {
  const select = make("select", { onchange }, options.map(([key, text]) => make("option", { value: key }, text)));
  select.value = value;
  return make("label", {}, label + " ", select);
}

const systemOptions = (view) => view.shown.map((i) => [i, view.data.systems[i].name]);

function cut(text, length) {
  const letters = [...text];
  return letters.length <= length ? text : letters.slice(0, length - 1).join("") + "…";
}
