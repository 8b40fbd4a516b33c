// The queue: thumbnails, what is to be done, filters.

import { thumbnailUrl } from "./api.js";
import { classOf, emit, loadRows, on, OPEN, open, ORDERS, set, state, visibleRows } from "./state.js";

const PAGE = 60; // rows that are made at a time
const place = (id) => document.getElementById(id);
const list = place("rows");
let first = 0; // of the rows that are made
let made = PAGE;

const STATES = { todo: "to do", edited: "edited", accepted: "accepted", rejected: "rejected" };

export function element(kind, properties = {}, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

const facts = (row) => {
  if (row.fault) return `cannot be used: ${row.fault}`;
  if (!row.labeled) return "not labeled yet";
  const sure = row.confidence === null ? "" : ` · ${Math.round(row.confidence * 100)} %, least ${Math.round(row.worst * 100)} %`;
  return `${row.boxes} ${row.boxes === 1 ? "box" : "boxes"}${sure}`;
};

function choose(image, event) {
  if (event.detail) place("canvas").focus({ preventScroll: true }); // a pointer's click: the keys are the image's
  open(image);
}

function make(row) {
  const text = element(
    "span",
    { className: "text" },
    element("span", { className: "name", textContent: row.image_id }),
    element("span", { className: "facts", textContent: facts(row) }),
    element("span", { className: `badge ${row.state}`, textContent: STATES[row.state] }),
  );
  const picture = element("img", { alt: "", loading: "lazy", width: 72, height: 54 });
  if (!row.fault) picture.src = thumbnailUrl(row.image_id);
  const button = element("button", { type: "button", title: row.fault || row.image_id, onclick: (event) => choose(row.image_id, event) }, picture, text);
  button.dataset.image = row.image_id;
  return element("li", {}, button);
}

// Rows are kept as they are where nothing of them has changed, so that thumbnails do not flicker and focus stays.
function render() {
  const rows = visibleRows();
  const here = rows.findIndex((row) => row.image_id === state.review?.image);
  first = Math.min(first, Math.max(0, rows.length - PAGE));
  const isOutside = here >= 0 && (here < first || here >= first + made);
  if (isOutside) [first, made] = [Math.max(0, here - PAGE / 2), PAGE];
  const old = new Map([...list.children].map((item) => [item.dataset.facts, item]));
  const items = rows.slice(first, first + made).map((row) => {
    const known = JSON.stringify(row);
    const item = old.get(known) ?? make(row);
    item.dataset.facts = known;
    const isCurrent = row.image_id === state.review?.image;
    if (isCurrent) item.firstChild.setAttribute("aria-current", "true");
    else item.firstChild.removeAttribute("aria-current");
    return item;
  });
  const same = items.length === list.children.length && items.every((item, index) => item === list.children[index]);
  if (!same) {
    const focused = document.activeElement?.dataset?.image;
    list.replaceChildren(...items);
    if (focused) [...list.querySelectorAll("button")].find((each) => each.dataset.image === focused)?.focus();
  }
  if (isOutside) scrollToCurrent();
  summarize(rows);
}

function summarize(rows) {
  const usable = state.rows.filter((row) => !row.fault);
  const done = usable.filter((row) => !OPEN.includes(row.state)).length;
  const accepted = state.rows.filter((row) => row.state === "accepted").length;
  place("progress").max = Math.max(1, usable.length);
  place("progress").value = done;
  place("progress-text").textContent = `${done} of ${usable.length} done, ${accepted} accepted`;
  const unlabeled = state.rows.filter((row) => !row.labeled && !row.fault).length;
  place("queue-count").textContent = `${rows.length} shown${unlabeled ? `, ${unlabeled} not labeled yet` : ""}`;
  const values = state.rows.map(ORDERS[state.options.order] ?? ORDERS.confidence);
  place("sort").hidden = values.every((value, index) => !index || values[index - 1] <= value);
}

export const isWaiting = () => state.rows.some((row) => !row.labeled && !row.fault);

function scrollToCurrent() {
  list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

// Make the rows before the first one; what is seen stays where it is.
function makeEarlier() {
  const { scrollHeight, scrollWidth, scrollTop, scrollLeft } = list;
  const more = Math.min(first, PAGE);
  first -= more;
  made += more;
  render();
  list.scrollTo(scrollLeft + list.scrollWidth - scrollWidth, scrollTop + list.scrollHeight - scrollHeight);
}

export function startQueue() {
  const filter = (changes) => {
    Object.assign(state.filter, changes);
    [first, made] = [0, PAGE];
    place("only-class").disabled = !state.filter.classId;
    ["rows", "filter"].forEach(emit);
  };
  place("filter-state").value = state.filter.state;
  place("filter-state").onchange = (event) => filter({ state: event.target.value });
  place("filter-class").onchange = (event) => filter({ classId: Number(event.target.value) });
  place("sort").onclick = () => loadRows(true);
  place("order").value = state.options.order;
  place("order").onchange = (event) => {
    state.options.order = event.target.value;
    emit("options");
    [first, made] = [0, PAGE];
    loadRows(true);
  };
  place("only-class").onchange = (event) => filter({ only: event.target.checked });
  const used = state.bench.classes.filter((each) => each.boxes);
  place("filter-class").append(...used.map((each) => new Option(`${classOf(each.id).name} (${each.boxes})`, each.id)));
  list.addEventListener("scroll", () => {
    const left = Math.min(list.scrollHeight - list.scrollTop - list.clientHeight, list.scrollWidth - list.scrollLeft - list.clientWidth || Infinity);
    if (left < 400 && first + made < visibleRows().length) {
      made += PAGE;
      render();
    }
    if (first && list.scrollTop + list.scrollLeft < 400) makeEarlier();
  });
  on("rows", render);
  on("opened", () => {
    render();
    scrollToCurrent();
  });
  set({}, "rows");
}
