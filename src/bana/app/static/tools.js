// What the pointer does on the stage: boxes are drawn, moved and resized, masks painted and erased, the view moved.

import { paintable, Stroke } from "./brush.js";
import { act, emit, on, select, selectedObject, set, shownObjects, state, toast } from "./state.js";
import { inImage, onStage, pan, placeOf, view, zoom } from "./view.js";

export const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

const NEAR = 9; // CSS pixels around a handle
const MIN_DRAG = 3; // CSS pixels: less is a click
const MAX_POINTS = 100; // of a box, as the server has it
const canvas = document.getElementById("canvas");

let held = null; // what the pointer does: {move(place), end(place)}
let spaceDown = false;
const fingers = new Map();

export function handlePlaces(box) {
  const [x, y, width, height] = onStage(box);
  return Object.fromEntries(
    HANDLES.map((name) => [
      name,
      [
        x + width * (name.includes("w") ? 0 : name.includes("e") ? 1 : 0.5),
        y + height * (name.includes("n") ? 0 : name.includes("s") ? 1 : 0.5),
      ],
    ]),
  );
}

const contains = ([x0, y0, x1, y1], [x, y]) => x >= x0 && x < x1 && y >= y0 && y < y1;
const area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);

// The smallest box at a place of the image.
function objectAt(place) {
  const found = shownObjects().filter((each) => contains(each.box, place));
  return found.sort((a, b) => area(a.box) - area(b.box))[0] ?? null;
}

function handleAt(place) {
  const object = selectedObject();
  if (!object || object.crowd || state.tool !== "box") return null;
  const places = handlePlaces(object.box);
  return HANDLES.find((name) => Math.hypot(places[name][0] - place[0], places[name][1] - place[1]) <= NEAR) ?? null;
}

// Whole pixels inside the image, at least one each way.
export function tidy([x0, y0, x1, y1]) {
  const { width, height } = state.review;
  const span = (a, b, most) => {
    const low = Math.min(Math.max(Math.round(Math.min(a, b)), 0), most - 1);
    return [low, Math.min(Math.max(Math.round(Math.max(a, b)), low + 1), most)];
  };
  const [left, right] = span(x0, x1, width);
  const [top, bottom] = span(y0, y1, height);
  return [left, top, right, bottom];
}

// The box, moved by whole pixels, or by less to the image's border: its size stays.
export function moved([x0, y0, x1, y1], dx, dy) {
  const { width, height } = state.review;
  const shift = (low, high, by, most) => Math.min(Math.max(Math.round(by), -low), most - high);
  const [right, down] = [shift(x0, x1, dx, width), shift(y0, y1, dy, height)];
  return [x0 + right, y0 + down, x1 + right, y1 + down];
}

export function resized([x0, y0, x1, y1], handle, [x, y]) {
  return tidy([
    handle.includes("w") ? x : x0,
    handle.includes("n") ? y : y0,
    handle.includes("e") ? x : x1,
    handle.includes("s") ? y : y1,
  ]);
}

const ghost = (value) => set({ ghost: value }, "ghost");

// ---- what can be held

const isClick = (start, { stage }) => Math.hypot(stage[0] - start.stage[0], stage[1] - start.stage[1]) < MIN_DRAG;

const panning = (start) => {
  let last = start.stage;
  return {
    move: ({ stage }) => {
      pan(stage[0] - last[0], stage[1] - last[1]);
      last = stage;
    },
    end: (place) => state.tool === "hand" && isClick(start, place) && select(objectAt(place.image)?.key ?? null),
  };
};

function drawing(start) {
  const class_id = state.classId;
  const boxTo = ({ image }) => tidy([...start.image, ...image]);
  return {
    move: (place) => !isClick(start, place) && ghost({ key: null, class_id, box: boxTo(place) }),
    end: (place) => {
      if (isClick(start, place)) {
        ghost(null);
        select(objectAt(place.image)?.key ?? null);
      } else {
        select(null);
        act({ do: "add", class_id, box: boxTo(place) });
      }
    },
  };
}

function changing(start, object, changed) {
  let box = object.box;
  return {
    move: (place) => {
      box = changed(place);
      ghost({ key: object.key, box, class_id: object.class_id });
    },
    end: (place) => {
      if (box.some((value, index) => value !== object.box[index])) act({ do: "change", key: object.key, box });
      else if (!handleAt(start.stage)) select(objectAt(place.image)?.key ?? null); // a click: what lies on top of it?
    },
  };
}

function painting(start) {
  if (!selectedObject()) select(objectAt(start.image)?.key ?? null);
  const object = selectedObject();
  const reason = paintable(object);
  if (reason) {
    toast(reason);
    return panning(start);
  }
  const stroke = new Stroke(object, state.tool === "erase");
  stroke.to(start.image);
  return { move: ({ image }) => stroke.to(image), end: () => stroke.end() };
}

// A click says that the object is here, a drag along all of a stroke; with Alt that it is not.
function pointing(start, isObject) {
  if (!selectedObject()) select(objectAt(start.image)?.key ?? null);
  const object = selectedObject();
  const reason = paintable(object) ?? (contains(object.box, start.image) ? null : "Points count inside the chosen box");
  if (reason) {
    toast(reason);
    return panning(start);
  }
  const step = 0.05 * Math.sqrt(area(object.box));
  const points = [[...start.image, isObject]];
  const add = ({ image }) => {
    const [x, y] = points.at(-1);
    if (!contains(object.box, image) || Math.hypot(image[0] - x, image[1] - y) < step) return;
    points.push([...image, isObject]);
    ghost({ key: object.key, box: object.box, class_id: object.class_id, points });
  };
  return { move: add, end: () => act({ do: "points", key: object.key, points: points.slice(0, MAX_POINTS) }) };
}

function take(place, event) {
  if (event.button === 1 || spaceDown || state.tool === "hand" || event.pointerType === "touch") return panning(place);
  if (state.tool === "point") return pointing(place, !event.altKey);
  if (state.tool !== "box") return painting(place);
  const object = selectedObject();
  const handle = handleAt(place.stage);
  if (handle) return changing(place, object, ({ image }) => resized(object.box, handle, image));
  if (object && !object.crowd && contains(object.box, place.image)) {
    const by = ({ image }) => moved(object.box, image[0] - place.image[0], image[1] - place.image[1]);
    return changing(place, object, by);
  }
  return drawing(place);
}

// ---- events

function down(event) {
  if (!state.review || event.button > 1) return;
  event.preventDefault();
  canvas.focus({ preventScroll: true });
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, placeOf(event).stage);
  held = take(placeOf(event), event);
}

function move(event) {
  const place = placeOf(event);
  if (fingers.size === 2 && fingers.has(event.pointerId)) pinch(event, place);
  else if (held) held.move(place);
  else hover(place);
  if (["brush", "erase"].includes(state.tool)) state.pointer = place.stage;
  else if (state.pointer && state.tool !== "point") state.pointer = null;
  if (!["box", "hand"].includes(state.tool)) emit("view");
}

function up(event) {
  fingers.delete(event.pointerId);
  const done = held;
  held = null;
  done?.end(placeOf(event));
  if (event.pointerType === "touch" && state.review) select(objectAt(placeOf(event).image)?.key ?? null);
}

function pinch(event, place) {
  const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
  const before = fingers.get(event.pointerId);
  const distance = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]);
  zoom(distance(place.stage) / Math.max(1, distance(before)), other);
  fingers.set(event.pointerId, place.stage);
}

function hover(place) {
  const handle = state.review && handleAt(place.stage);
  const object = selectedObject();
  const inside = state.tool === "box" && object && !object.crowd && contains(object.box, place.image);
  canvas.dataset.cursor = spaceDown || state.tool === "hand" ? "grab" : handle ?? (inside ? "move" : "cross");
}

// What arrow keys do with a tool that paints: its cross moves by pixels of the image, from the chosen box's middle.
export function moveCross(dx, dy) {
  const object = selectedObject();
  if (!state.pointer) {
    const [x, y, width, height] = onStage(object?.box ?? [0, 0, state.review.width, state.review.height]);
    state.pointer = [x + width / 2, y + height / 2];
  }
  state.pointer = [state.pointer[0] + dx * view.scale, state.pointer[1] + dy * view.scale];
  emit("view");
}

// Paint, erase or set a point at the cross.
export function useCross(isObject) {
  if (!state.pointer || !state.review || ["box", "hand"].includes(state.tool)) return;
  const place = { stage: state.pointer, image: inImage(state.pointer) };
  const doing = state.tool === "point" ? pointing(place, isObject) : painting(place);
  doing.end(place);
}

export function holdSpace(isDown) {
  spaceDown = isDown;
  canvas.dataset.cursor = isDown ? "grab" : "cross";
}

export function startTools() {
  canvas.addEventListener("pointerdown", down);
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    held = null;
    ghost(null);
  });
  canvas.addEventListener("wheel", wheel, { passive: false });
  on("opened", () => {
    held = null; // what was begun on another image ends here
  });
}

function wheel(event) {
  event.preventDefault();
  if (event.shiftKey) pan(-event.deltaY - event.deltaX, 0);
  else zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), placeOf(event).stage);
}
