// The picture: photograph, masks in their classes' colors, uncertain pixels hatched, boxes.

import { bitmap, decode, regionOf } from "./masks.js";
import { classOf, loadFirst, on, shownObjects, state } from "./state.js";
import { HANDLES, handlePlaces } from "./tools.js";
import { fit, onStage, refit, view } from "./view.js";

const INK = "#16181d";
const canvas = document.getElementById("canvas");
const context = canvas.getContext("2d");

let layers = []; // {key, region, canvas} of each mask
let before = []; // the same of what was labeled
let uncertain = null; // a canvas of the image's size
let asked = false;

const rgb = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));

function build() {
  const { review, first } = state;
  if (!review) return;
  const { width, height } = review;
  layers = layersOf(review);
  before = first?.image === review.image ? layersOf(first) : [];
  const whole = { x: 0, y: 0, width, height };
  uncertain = bitmap(decode(review.uncertain, height, whole), whole, [0, 0, 0], 1);
  canvas.setAttribute("aria-label", describe());
  ask();
}

function layersOf(review) {
  const { width, height } = review;
  return shownObjects(review)
    .filter((each) => !each.crowd)
    .map((each) => {
      const region = regionOf(each.box, width, height);
      const pixels = decode(each.mask, height, region);
      return { key: each.key, region, canvas: bitmap(pixels, region, rgb(classOf(each.class_id).color), state.options.opacity / 100) };
    });
}

function describe() {
  const { review } = state;
  const names = review.objects.map((each) => classOf(each.class_id).name);
  return `${review.image}, ${review.width} by ${review.height} pixels, ${names.length} boxes: ${names.join(", ") || "none"}`;
}

// Ask for the picture to be drawn; however often that is, it is drawn once a frame.
function ask() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(draw);
}

function draw() {
  asked = false;
  const ratio = devicePixelRatio;
  const { width, height } = canvas.getBoundingClientRect();
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!state.review || !state.photograph) return;
  if (!state.options.compare) {
    drawNow(ratio, 0);
    return;
  }
  const half = width / 2;
  within(0, half, height, drawBefore);
  within(half, half, height, () => drawNow(ratio, half));
  context.fillStyle = INK;
  context.fillRect(half - 1, 0, 2, height);
}

// Draw in a part of the canvas, `left` being its left edge, as if it were all.
function within(left, width, height, picture) {
  context.save();
  context.translate(left, 0);
  context.beginPath();
  context.rect(0, 0, width, height);
  context.clip();
  picture();
  context.restore();
}

function drawPhotograph() {
  context.imageSmoothingEnabled = view.scale < 3;
  context.drawImage(state.photograph, ...onStage([0, 0, state.review.width, state.review.height]));
  context.imageSmoothingEnabled = false;
}

function drawBefore() {
  drawPhotograph();
  before.forEach(drawLayer);
  if (state.first?.image === state.review.image) shownObjects(state.first).forEach((each) => drawBox(each, false));
  drawCaption("as labeled");
}

function drawNow(ratio, left) {
  drawPhotograph();
  layers.forEach(drawLayer);
  if (state.options.uncertain && state.options.opacity) drawUncertain(ratio, left);
  if (state.ghost?.canvas) drawLayer(state.ghost);
  drawBoxes();
  if (["brush", "erase"].includes(state.tool) && state.pointer) drawBrush(...state.pointer);
  if (state.tool === "point" && state.pointer) drawCross(...state.pointer);
  if (state.options.compare) drawCaption("now");
}

function drawCaption(text) {
  context.font = "600 12px system-ui, sans-serif";
  context.fillStyle = INK;
  context.fillRect(6, 6, context.measureText(text).width + 12, 20);
  context.fillStyle = "#fff";
  context.fillText(text, 12, 20);
}

// Where arrow keys would set a point.
function drawCross(x, y) {
  for (const [style, width] of [[INK, 4], ["#fff", 2]]) {
    context.beginPath();
    context.moveTo(x - 9, y);
    context.lineTo(x + 9, y);
    context.moveTo(x, y - 9);
    context.lineTo(x, y + 9);
    context.strokeStyle = style;
    context.lineWidth = width;
    context.stroke();
  }
}

function drawBrush(x, y) {
  for (const [style, width] of [[INK, 3], ["#fff", 1.5]]) {
    context.beginPath();
    context.arc(x, y, state.options.brush * view.scale, 0, 2 * Math.PI);
    context.strokeStyle = style;
    context.lineWidth = width;
    context.stroke();
  }
}

function drawLayer({ region, canvas: picture }) {
  const { x, y, width, height } = region;
  context.drawImage(picture, ...onStage([x, y, x + width, y + height]));
}

// Stripes of a width on the screen, whatever the zoom: the uncertain pixels are the stencil.
function drawUncertain(ratio, left) {
  const stencil = new OffscreenCanvas(canvas.width, canvas.height);
  const on = stencil.getContext("2d");
  on.imageSmoothingEnabled = false;
  on.setTransform(ratio, 0, 0, ratio, 0, 0);
  on.drawImage(uncertain, ...onStage([0, 0, uncertain.width, uncertain.height]));
  on.globalCompositeOperation = "source-in";
  on.fillStyle = on.createPattern(stripes(), "repeat");
  on.setTransform(1, 0, 0, 1, 0, 0);
  on.fillRect(0, 0, stencil.width, stencil.height);
  context.setTransform(1, 0, 0, 1, Math.round(left * ratio), 0);
  context.drawImage(stencil, 0, 0);
  context.setTransform(ratio, 0, 0, ratio, left * ratio, 0);
}

function stripes() {
  const side = 8;
  const tile = new OffscreenCanvas(side, side);
  const on = tile.getContext("2d");
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const step = (x + y) % side;
      on.fillStyle = step < 2 ? "rgb(255 221 51 / 0.8)" : step < 4 ? "rgb(22 24 29 / 0.55)" : "transparent";
      on.fillRect(x, y, 1, 1);
    }
  }
  return tile;
}

function shownBoxes() {
  const { ghost } = state;
  const boxes = shownObjects().map((each) => (ghost?.box && ghost.key === each.key ? { ...each, ...ghost, points: [...each.points, ...(ghost.points ?? [])] } : each));
  return ghost?.box && ghost.key === null ? [...boxes, ghost] : boxes;
}

function drawBoxes() {
  const boxes = shownBoxes();
  const chosen = boxes.find((each) => each.key === state.selected);
  for (const each of boxes) if (each !== chosen) drawBox(each, false);
  if (chosen) drawBox(chosen, true);
}

function drawBox({ box, class_id, crowd, points }, chosen) {
  const { name, color } = classOf(class_id);
  const [x, y, width, height] = onStage(box);
  context.setLineDash(crowd ? [6, 4] : []);
  context.strokeStyle = INK;
  context.lineWidth = chosen ? 5 : 3.5;
  context.strokeRect(x, y, width, height);
  context.strokeStyle = color;
  context.lineWidth = chosen ? 3 : 1.5;
  context.strokeRect(x, y, width, height);
  context.setLineDash([]);
  drawName(crowd ? `${name} (crowd)` : name, color, x, y, chosen ? Infinity : width);
  if (chosen && !crowd && state.tool === "box") drawHandles(box);
  for (const point of points ?? []) drawPoint(point, color);
}

// On the object a disc of its color, beside it a cross: they differ by more than color.
function drawPoint([x, y, isObject], color) {
  const [left, top] = onStage([x, y, x, y]);
  const shape = new Path2D();
  if (isObject) shape.arc(left, top, 4.5, 0, 2 * Math.PI);
  else for (const sign of [1, -1]) {
    shape.moveTo(left - 5, top - 5 * sign);
    shape.lineTo(left + 5, top + 5 * sign);
  }
  context.strokeStyle = isObject ? INK : "#fff";
  context.lineWidth = isObject ? 3 : 5;
  context.stroke(shape);
  context.fillStyle = color;
  context.strokeStyle = isObject ? "#fff" : INK;
  context.lineWidth = isObject ? 1.5 : 2.5;
  if (isObject) context.fill(shape);
  context.stroke(shape);
}

function drawName(name, color, x, y, room) {
  context.font = "600 12px system-ui, sans-serif";
  const wanted = context.measureText(name).width + 8;
  if (wanted > 2 * room) return; // too little of it could be read
  const width = Math.min(wanted, room + 4);
  context.save();
  context.beginPath();
  context.rect(x - 2, y - 17, width, 17);
  context.clip();
  context.fillStyle = color;
  context.fillRect(x - 2, y - 17, width, 17);
  context.fillStyle = INK;
  context.fillText(name, x + 2, y - 4);
  context.restore();
}

function drawHandles(box) {
  context.fillStyle = "#fff";
  context.strokeStyle = INK;
  context.lineWidth = 1.5;
  for (const name of HANDLES) {
    const [x, y] = handlePlaces(box)[name];
    context.fillRect(x - 4, y - 4, 8, 8);
    context.strokeRect(x - 4, y - 4, 8, 8);
  }
}

export function startDrawing() {
  on("review opacity first filter", build);
  on("review compare", loadFirst);
  on("compare", fit);
  on("selection view tool ghost options", ask);
  new ResizeObserver(refit).observe(canvas);
}
