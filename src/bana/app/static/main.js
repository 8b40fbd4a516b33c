// Begin: learn what there is to do, and open the first image.

import * as api from "./api.js";
import { startDrawing } from "./canvas.js";
import { startDialogs } from "./dialogs.js";
import { chooseTool, setBrush, startKeys, toggleCompare, TOOLS } from "./keys.js";
import { element, isWaiting, startQueue } from "./queue.js";
import { numbered, startSide } from "./side.js";
import { act, decide, emit, loadRows, neighbor, on, open, set, state, toast } from "./state.js";
import { startTools } from "./tools.js";
import { fit, zoom } from "./view.js";

const place = (id) => document.getElementById(id);
const POLL = 3000; // milliseconds between looks at what was labeled meanwhile
const KEPT = "bana-options";

function startToolbar() {
  for (const [tool, name, key] of TOOLS) {
    const button = element("button", { type: "button", onclick: () => chooseTool(tool) }, `${name} `, element("kbd", { textContent: key.toUpperCase() }));
    button.dataset.tool = tool;
    place("tools").append(button);
  }
  const clicks = {
    "zoom-in": () => zoom(1.25),
    "zoom-out": () => zoom(0.8),
    "zoom-fit": fit,
    undo: () => act({ do: "undo" }),
    redo: () => act({ do: "redo" }),
    accept: () => decide("accepted", true),
    reject: () => decide("rejected", true),
    next: () => neighbor(1) && open(neighbor(1)),
    previous: () => neighbor(-1) && open(neighbor(-1)),
  };
  for (const [id, action] of Object.entries(clicks)) place(id).onclick = action;
  on("tool", showTool);
  showTool();
}

function showTool() {
  for (const button of place("tools").children) button.setAttribute("aria-pressed", String(button.dataset.tool === state.tool));
  place("brush-label").hidden = !["brush", "erase"].includes(state.tool);
}

function keep(options) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(options));
  } catch {
    // a browser that keeps nothing for pages: the options hold until it is closed
  }
}

function readOptions() {
  try {
    Object.assign(state.options, JSON.parse(localStorage.getItem(KEPT)));
  } catch {
    keep({}); // it was not ours
  }
}

function startOptions() {
  const { options } = state;
  const show = () => {
    place("brush").value = options.brush;
    place("brush-size").textContent = options.brush;
    place("opacity").value = options.opacity;
    place("uncertain").checked = options.uncertain;
    place("compare").setAttribute("aria-pressed", String(options.compare));
    keep(options);
  };
  place("brush").oninput = (event) => setBrush(Number(event.target.value));
  place("opacity").oninput = (event) => {
    options.opacity = Number(event.target.value);
    ["options", "opacity"].forEach(emit);
  };
  place("uncertain").onchange = (event) => {
    options.uncertain = event.target.checked;
    emit("options");
  };
  place("compare").onclick = toggleCompare;
  on("options", show);
  show();
}

function startStatus() {
  let busy = 0;
  const show = () => (place("busy").hidden = busy === 0);
  on("busy", () => {
    busy += 1;
    show();
  });
  on("idle", () => {
    busy -= 1;
    show();
  });
  on("review", () => {
    const { image, width, height, state: verdict } = state.review;
    place("status-text").textContent = `${image} · ${width}×${height} · ${verdict === "todo" ? "to do" : verdict}`;
    document.title = `${image} – bana`;
  });
}

async function poll() {
  if (isWaiting()) await loadRows(false).catch(() => toast("The server does not answer: is it still running?"));
  setTimeout(poll, Math.max(POLL, state.rows.length));
}

async function begin() {
  set({ bench: await api.bench() });
  state.classId = numbered()[0].id;
  document.body.toggleAttribute("data-read-only", state.bench.read_only);
  if (state.bench.read_only) Object.assign(state, { tool: "hand", filter: { ...state.filter, state: "all" } });
  place("about").textContent = state.bench.name;
  place("about").title = `Kept in ${state.bench.folder}`;
  readOptions();
  await loadRows(true);
  [startOptions, startToolbar, startStatus, startQueue, startSide, startDialogs, startDrawing, startTools, startKeys].forEach((start) => start());
  on("opened", fit);
  const wanted = decodeURIComponent(location.hash.slice(1));
  const known = state.rows.some((row) => row.image_id === wanted);
  const first = known ? wanted : neighbor(1, true) ?? state.rows[0]?.image_id;
  if (first) await open(first);
  setTimeout(poll, POLL);
}

begin().catch((error) => toast(error.message));
