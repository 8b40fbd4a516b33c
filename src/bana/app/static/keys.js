// The shortcuts: one table for the keyboard and for the list that is shown.

import { chooseClass, numbered } from "./side.js";
import { tightened } from "./masks.js";
import { act, decide, emit, neighbor, on, open, select, selectedObject, set, shownObjects, state, toast } from "./state.js";
import { holdSpace, moveCross, moved, tidy, useCross } from "./tools.js";
import { fit, zoom } from "./view.js";

const place = (id) => document.getElementById(id);

export const TOOLS = [
  ["box", "Box", "b"],
  ["point", "Point", "o"],
  ["brush", "Brush", "p"],
  ["erase", "Eraser", "e"],
  ["hand", "Move", "h"],
];

export const chooseTool = (tool) => !(state.bench.read_only && tool !== "hand") && set({ tool, pointer: null }, "tool");

export function setBrush(size) {
  state.options.brush = Math.min(60, Math.max(1, Math.round(size)));
  emit("options");
}

async function go(by) {
  const image = neighbor(by);
  if (image) await open(image);
}

function cycle(by) {
  const keys = shownObjects().map((each) => each.key);
  if (!keys.length) return;
  const here = keys.indexOf(state.selected);
  select(keys[here < 0 ? (by > 0 ? 0 : keys.length - 1) : (here + by + keys.length) % keys.length]);
}

function toggleMasks() {
  const { options } = state;
  options.before = options.opacity || options.before || 45;
  options.opacity = options.opacity ? 0 : options.before;
  ["options", "opacity"].forEach(emit);
}

export function toggleCompare() {
  state.pointer = null; // it is of another scale then
  state.options.compare = !state.options.compare;
  ["options", "compare"].forEach(emit);
}

function tighten() {
  const object = selectedObject();
  if (!object || object.crowd) return;
  const box = tightened(object, state.review);
  if (!box) toast("The mask has no pixels");
  else if (box.some((value, index) => value !== object.box[index])) act({ do: "change", key: object.key, box });
  else toast("The box is tight already");
}

function insert() {
  if (!state.review) return;
  const { width, height } = state.review;
  act({ do: "add", class_id: state.classId, box: tidy([width / 4, height / 4, (width * 3) / 4, (height * 3) / 4]) });
}

// The arrow keys change the box at once, and it is labeled anew when they rest.
let nudge = null;
let timer = 0;

function arrow(dx, dy, resizes) {
  const object = selectedObject();
  if (!object || object.crowd) return;
  const from = nudge?.key === object.key ? nudge.box : object.box;
  const [x0, y0, x1, y1] = from;
  const box = resizes ? tidy([x0, y0, Math.max(x0 + 1, x1 + dx), Math.max(y0 + 1, y1 + dy)]) : moved(from, dx, dy);
  nudge = { key: object.key, box, class_id: object.class_id };
  set({ ghost: nudge }, "ghost");
  clearTimeout(timer);
  timer = setTimeout(sendNudge, 300);
}

function sendNudge() {
  if (!nudge) return;
  const { key, box } = nudge;
  nudge = null;
  clearTimeout(timer);
  act({ do: "change", key, box });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// [what is shown, what it does, keys, action]; a key with + is pressed with Control (or Command).
export const SHORTCUTS = [
  ["Enter", "accept the image, and go on", ["Enter"], () => decide("accepted")],
  ["X", "reject the image, and go on", ["x"], () => decide("rejected")],
  ["J / K", "next, previous image", ["j"], () => go(1)],
  [null, null, ["k"], () => go(-1)],
  ["Ctrl-Z", "undo", ["+z"], () => act({ do: "undo" })],
  ["Ctrl-Shift-Z", "redo (also Ctrl-Y)", ["+Z", "+y"], () => act({ do: "redo" })],
  ...TOOLS.map(([tool, name, key]) => [key.toUpperCase(), `tool: ${name.toLowerCase()}`, [key], () => chooseTool(tool)]),
  ["Click, Alt-click", "with Point: here is the object; here it is not (drag: a stroke)", [], null],
  ["[ and ]", "smaller, larger brush", ["["], () => setBrush(state.options.brush / 1.25 - 0.5)],
  [null, null, ["]"], () => setBrush(state.options.brush * 1.25 + 0.5)],
  ["1 to 9", "class of the chosen box, or of new ones", [..."123456789"], (key) => numbered()[key - 1] && chooseClass(numbered()[key - 1].id)],
  ["C", "search the classes", ["c"], () => place("class-search").focus()],
  [". and ,", "choose the next, previous box", ["."], () => cycle(1)],
  [null, null, [","], () => cycle(-1)],
  ["Arrows", "move the chosen box by 1 pixel (Shift: 10); with Alt its size", Object.keys(ARROWS), null],
  ["Arrows, Y", "with Point, Brush, Eraser: move the cross; paint there (Shift-Y: not the object)", ["y"], () => useCross(true)],
  [null, null, ["Y"], () => useCross(false)],
  ["T", "tighten the chosen box to its mask", ["t"], tighten],
  ["I", "insert a box in the middle", ["i"], insert],
  ["Del", "delete the chosen box", ["Delete", "Backspace"], () => selectedObject() && act({ do: "delete", key: state.selected })],
  ["Esc", "choose no box", ["Escape"], () => select(null)],
  ["Wheel, + and −", "zoom", ["+", "="], () => zoom(1.25)],
  [null, null, ["-"], () => zoom(0.8)],
  ["Space-drag", "move the view", [" "], null],
  ["0", "fit the image", ["0"], fit],
  ["M", "masks on, off", ["m"], toggleMasks],
  ["D", "uncertain pixels on, off", ["d"], () => {
    state.options.uncertain = !state.options.uncertain;
    emit("options");
  }],
  ["V", "as labeled and now, side by side", ["v"], toggleCompare],
  ["U", "add a photograph (or drop it, or paste it)", ["u"], () => place("upload-file").click()],
  ["?", "this list", ["?"], () => place("help").showModal()],
];

const ACTIONS = new Map(SHORTCUTS.flatMap(([, , keys, action]) => keys.map((key) => [key, action])));

const REPEATED = ["+", "=", "-", "[", "]"]; // and the arrows; any other key that is held acts once

const isTyping = (target) => target.matches("input:not([type=range], [type=checkbox]), select, textarea");

function pressed(event) {
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.length === 1 && !(control && event.shiftKey) ? event.key.toLowerCase() : event.key;
  if (ARROWS[key] && !event.target.matches("input")) {
    const by = event.shiftKey ? 10 : 1;
    if (!selectedObject()) return;
    event.preventDefault();
    if (!["box", "hand"].includes(state.tool)) {
      moveCross(ARROWS[key][0] * by, ARROWS[key][1] * by);
      return;
    }
    arrow(ARROWS[key][0] * by, ARROWS[key][1] * by, event.altKey);
    return;
  }
  if (event.altKey) return;
  const onButton = event.target.matches("button, a") && (key === "Enter" || key === " ");
  if (onButton) {
    if (event.repeat) event.preventDefault();
    return; // it presses the button, once
  }
  if (key === " ") {
    event.preventDefault();
    holdSpace(true);
    return;
  }
  const named = event.shiftKey && ACTIONS.has(event.key) ? event.key : key;
  const action = ACTIONS.get(control ? `+${event.shiftKey ? event.key.toUpperCase() : key}` : named);
  if (!action) return;
  event.preventDefault();
  if (!event.repeat || REPEATED.includes(key)) action(event.key);
}

export function startKeys() {
  on("leave", sendNudge);
  window.addEventListener("keydown", pressed);
  window.addEventListener("keyup", (event) => event.key === " " && holdSpace(false));
}
