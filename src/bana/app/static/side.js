// The boxes of the image as a list, which is the canvas in words, and the classes.

import { element } from "./queue.js";
import { act, classOf, on, select, selectedObject, set, shownObjects, state } from "./state.js";

const place = (id) => document.getElementById(id);

const round = (value) => Math.round(value * 10) / 10;

function swatch(classId) {
  const made = element("span", { className: "swatch" });
  made.style.background = classOf(classId).color;
  return made;
}

function objectItem(object, number) {
  const { name } = classOf(object.class_id);
  const [x0, y0, x1, y1] = object.box;
  const notes = [
    object.crowd ? "crowd region, ignored" : `${Math.round(object.confidence * 100)} %`,
    ...(object.drawn ? ["drawn"] : []),
    ...(object.painted ? ["painted"] : []),
    ...(object.points.length ? [object.points.length === 1 ? "1 point" : `${object.points.length} points`] : []),
    ...(object.difficult ? ["difficult"] : []),
  ];
  const text = element(
    "span",
    { className: "text" },
    element("span", { className: "name", textContent: `${number} ${name}` }),
    element("span", { className: "facts", textContent: `${notes.join(" · ")} · ${round(x1 - x0)}×${round(y1 - y0)}` }),
  );
  const where = `From ${round(x0)}, ${round(y0)} to ${round(x1)}, ${round(y1)}`;
  const choose = element("button", { type: "button", className: "choose", title: where, onclick: () => select(object.key) }, swatch(object.class_id), text);
  choose.setAttribute("aria-pressed", String(object.key === state.selected));
  const remove = element("button", { type: "button", title: "Delete (Del)", textContent: "×", className: "small", onclick: () => act({ do: "delete", key: object.key }) });
  remove.setAttribute("aria-label", `Delete box ${number}, ${name}`);
  const item = element("li", {}, choose);
  if (state.bench.read_only) return item;
  if (object.painted || object.points.length) {
    const reset = element("button", { type: "button", textContent: "↺", className: "small", title: "Forget what was painted, and points", onclick: () => act({ do: "unpaint", key: object.key }) });
    reset.setAttribute("aria-label", `Forget what was painted, and points, in box ${number}, ${name}`);
    item.append(reset);
  }
  item.append(remove);
  return item;
}

function renderObjects() {
  if (!state.review) return;
  const objects = shownObjects();
  const list = place("objects");
  const focused = [...list.querySelectorAll("button")].indexOf(document.activeElement);
  list.replaceChildren(...objects.map((object, index) => objectItem(object, index + 1)));
  if (focused >= 0) list.querySelectorAll("button")[Math.min(focused, list.querySelectorAll("button").length - 1)]?.focus();
  place("objects-title").textContent = objects.length === 1 ? "1 box" : `${objects.length} boxes`;
  if (!objects.length) list.replaceChildren(element("li", { className: "quiet", textContent: "None. Draw one: drag on the image, or press I." }));
  list.querySelector("[aria-pressed=true]")?.scrollIntoView({ block: "nearest" });
}

function renderDecision() {
  const { review } = state;
  place("accept").setAttribute("aria-pressed", String(review.state === "accepted"));
  place("reject").setAttribute("aria-pressed", String(review.state === "rejected"));
  place("accept").disabled = place("reject").disabled = false;
  place("undo").disabled = !review.can_undo;
  place("redo").disabled = !review.can_redo;
}

// The classes that number keys stand for: those with most boxes.
export function numbered() {
  return [...state.bench.classes].sort((a, b) => b.boxes - a.boxes || a.id - b.id).slice(0, 9);
}

export function chooseClass(id) {
  set({ classId: id }, "class");
  const object = selectedObject();
  if (object && !object.crowd && object.class_id !== id) act({ do: "change", key: object.key, class_id: id });
}

function foundClasses() {
  const wanted = place("class-search").value.trim().toLowerCase();
  const top = numbered();
  const rest = state.bench.classes.filter((each) => !top.includes(each));
  return [...top, ...rest].filter((each) => each.name.toLowerCase().includes(wanted));
}

function renderClasses() {
  const keys = numbered();
  const focused = document.activeElement?.dataset.classId;
  place("classes").replaceChildren(
    ...foundClasses().map((each) => {
      const digit = keys.indexOf(each) + 1;
      const button = element("button", { type: "button", onclick: () => chooseClass(each.id) }, swatch(each.id), element("span", { className: "name", textContent: each.name }));
      button.dataset.classId = each.id;
      if (digit) button.append(element("kbd", { textContent: digit }));
      button.setAttribute("aria-pressed", String(each.id === state.classId));
      return element("li", {}, button);
    }),
  );
  if (focused) place("classes").querySelector(`[data-class-id="${focused}"]`)?.focus();
  const object = selectedObject();
  place("class-for").textContent = object ? "of the chosen box" : "of new boxes";
}

export function startSide() {
  on("review selection filter", renderObjects);
  on("review", renderDecision);
  on("class selection", renderClasses);
  const search = place("class-search");
  search.oninput = renderClasses;
  search.onkeydown = (event) => {
    if (event.key === "Enter" && foundClasses().length) chooseClass(foundClasses()[0].id);
    if (event.key !== "Enter" && event.key !== "Escape") return;
    search.value = "";
    renderClasses();
    place("canvas").focus();
  };
  renderClasses();
}
