// What the page knows, who wants to hear of changes, and the one way in which anything is changed.

import * as api from "./api.js";

export const OPEN = ["todo", "edited"];

export const state = {
  bench: null,
  rows: [],
  review: null,
  first: null, // the review as it was labeled, where it is shown beside
  photograph: null,
  selected: null,
  classId: 1,
  tool: "box",
  pointer: null, // the place on the stage of the brush, or of the cross that arrow keys move
  ghost: null, // a box {key, box, class_id} or stroke as the person left it, until the server has answered
  filter: { state: "open", classId: 0, only: false },
  options: { brush: 10, opacity: 45, uncertain: true, compare: false, order: "confidence" },
};

const listeners = new Map();

export function on(names, listener) {
  for (const name of names.split(" ")) listeners.set(name, [...(listeners.get(name) ?? []), listener]);
}

export function emit(name) {
  for (const listener of listeners.get(name) ?? []) listener();
}

export function set(changes, ...events) {
  Object.assign(state, changes);
  events.forEach(emit);
}

export const classOf = (id) => state.bench.classes[id - 1];

export const selectedObject = () => state.review?.objects.find((each) => each.key === state.selected) ?? null;

// The objects that are shown: those of one class, if only that is wanted.
export function shownObjects(review = state.review) {
  const { classId, only } = state.filter;
  return (review?.objects ?? []).filter((each) => !only || !classId || each.class_id === classId);
}

export function select(key) {
  set({ selected: key }, "selection");
  const object = selectedObject();
  if (object) set({ classId: object.class_id }, "class");
}

let toastTimer = 0;

export function toast(text) {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => place.classList.remove("shown"), 5000);
}

// ---- the queue

// What rows are sorted by, least first; what has no confidence comes last.
export const ORDERS = {
  confidence: (row) => row.confidence ?? 2,
  worst: (row) => row.worst ?? 2,
  number: (row) => row.number,
};

let clock = 0; // counts requests for rows and changes of rows
let newest = 0; // when the request began whose answer is shown
const notedAt = new Map();

export async function loadRows(sorted) {
  const began = ++clock;
  const answer = await api.images();
  if (began < newest) return; // a later request was answered earlier
  newest = began;
  const known = new Map(state.rows.map((row) => [row.image_id, row]));
  const isNewer = (id) => known.has(id) && notedAt.get(id) > began;
  const rows = answer.map((row) => (isNewer(row.image_id) ? known.get(row.image_id) : row));
  const key = ORDERS[state.options.order] ?? ORDERS.confidence;
  if (sorted) rows.sort((a, b) => key(a) - key(b));
  else {
    const order = new Map(state.rows.map((row, index) => [row.image_id, index]));
    const rank = (row) => order.get(row.image_id) ?? order.size;
    rows.sort((a, b) => rank(a) - rank(b));
  }
  set({ rows }, "rows");
}

export function visibleRows() {
  const { state: wanted, classId } = state.filter;
  return state.rows.filter(
    (row) =>
      row.image_id === state.review?.image ||
      ((wanted === "all" || (wanted === "open" ? OPEN.includes(row.state) : row.state === wanted)) &&
        (!classId || row.class_ids.includes(classId))),
  );
}

function noteRow(review) {
  const row = state.rows.find((each) => each.image_id === review.image);
  if (!row) return;
  const objects = review.objects.filter((each) => !each.crowd);
  notedAt.set(review.image, ++clock);
  row.state = review.state;
  row.fault = "";
  row.labeled = true;
  row.boxes = review.objects.length;
  row.class_ids = [...new Set(review.objects.map((each) => each.class_id))];
  row.worst = objects.length ? Math.min(...objects.map((each) => each.confidence)) : null;
  row.confidence = objects.length ? objects.reduce((sum, each) => sum + each.confidence, 0) / objects.length : null;
  emit("rows");
}

// The image `by` rows away that is still to be done, or any that is shown.
export function neighbor(by, onlyOpen = false) {
  const rows = visibleRows();
  const here = rows.findIndex((row) => row.image_id === state.review?.image);
  for (let step = 1; step <= rows.length; step++) {
    const row = rows[(here + by * step + rows.length * step) % rows.length];
    if (row.image_id === state.review?.image) continue;
    if (!row.fault && (!onlyOpen || OPEN.includes(row.state))) return row.image_id;
  }
  return null;
}

// ---- the image

const revisions = new Map();
let chain = Promise.resolve();
let opening = null;

// Fetch what is shown beside the review, if that is wanted and not there.
export async function loadFirst() {
  const image = state.review?.image;
  if (!image || !state.options.compare || state.first?.image === image) return;
  try {
    const first = await api.first(image);
    if (state.review?.image === image) set({ first }, "first");
  } catch (error) {
    toast(error.message);
  }
}

function show(review) {
  revisions.set(review.image, review.revision);
  noteRow(review);
  if (review.image !== state.review?.image) return;
  set({ review, ghost: null }, "review");
  if (!selectedObject()) select(null);
}

export async function open(image) {
  opening = image;
  emit("leave");
  await chain; // what was done is kept before the image is asked for
  try {
    const photograph = new Image();
    photograph.src = api.photographUrl(image);
    emit("busy");
    const review = await api.review(image); // first: it says what is wrong with an image
    await photograph.decode().catch((error) => api.whyNoPhotograph(image, error));
    if (opening !== image) return;
    set({ review, photograph, selected: null, ghost: null });
    revisions.set(image, review.revision);
    history.replaceState(null, "", `#${encodeURIComponent(image)}`);
    noteRow(review);
    ["opened", "review", "selection"].forEach(emit);
    const next = neighbor(1, true);
    if (next) api.ahead([next]).catch(() => {}); // it is only asked for early
  } catch (error) {
    toast(error.message);
  } finally {
    opening = opening === image ? null : opening;
    emit("idle");
  }
}

// Whether an object was deleted by what was asked before.
const isGone = (image, key) => key !== undefined && image === state.review?.image && !state.review.objects.some((each) => each.key === key);

// Ask for a change. What waits to be sent, such as a box that arrow keys move, goes first ("leave"); changes are sent one after the other, each with the revision that the one before has led to.
export function act(action) {
  if (state.bench.read_only) {
    toast("Nothing can be changed: bana app was started with --read-only");
    set({ ghost: null }, "ghost");
    return chain;
  }
  emit("leave");
  const image = state.review?.image;
  if (!image) return chain;
  chain = chain.then(async () => {
    if (isGone(image, action.key)) return;
    emit("busy");
    try {
      const review = await api.act(image, revisions.get(image), action);
      const added = action.do === "add" && review.objects.at(-1);
      show(review);
      if (added && review.image === state.review?.image) select(added.key);
    } catch (error) {
      toast(error.status === 409 ? `${error.message}: loaded again` : error.message);
      await api.review(image).then(show, () => set({ ghost: null }, "review"));
    } finally {
      emit("idle");
    }
  });
  return chain;
}

// Accept or reject, and go on; a button that is pressed already takes it back.
export async function decide(verdict, toggles = false) {
  if (!state.review || opening || deciding || state.bench.read_only) return; // what is not seen yet is not decided
  deciding = true;
  try {
    await decided(verdict, toggles);
  } finally {
    deciding = false;
  }
}

let deciding = false;

async function decided(verdict, toggles) {
  const { image } = state.review;
  emit("leave"); // a box that arrow keys moved is a change, which takes a verdict back
  await chain;
  if (state.review.image !== image) return;
  const isSame = state.review.state === verdict;
  const next = neighbor(1, true);
  if (!isSame) act({ do: "state", state: verdict });
  else if (toggles) {
    act({ do: "state", state: "todo" });
    return;
  }
  if (next) await open(next);
  else toast("All images that are shown are done");
}
