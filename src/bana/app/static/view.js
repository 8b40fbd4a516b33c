// Where the photograph lies on the stage: zoom and place, in CSS pixels.

import { emit, state } from "./state.js";

export const view = { scale: 1, x: 0, y: 0 };

const MARGIN = 16;
const MAX_SCALE = 40;
let fitted = true;

// Where the image is shown: the canvas, or its right half where the left one shows what was before.
function stage() {
  const { left, top, width, height } = document.getElementById("canvas").getBoundingClientRect();
  return { left, top, width: state.options.compare ? width / 2 : width, height };
}

const fitScale = () => {
  const { width, height } = stage();
  return Math.max(0.01, Math.min((width - 2 * MARGIN) / state.review.width, (height - 2 * MARGIN) / state.review.height));
};

export function fit() {
  if (!state.review) return;
  const { width, height } = stage();
  view.scale = fitScale();
  view.x = (width - state.review.width * view.scale) / 2;
  view.y = (height - state.review.height * view.scale) / 2;
  fitted = true;
  emit("view");
}

export function refit() {
  if (fitted) fit();
  else emit("view");
}

export function zoom(factor, at = null) {
  if (!state.review) return;
  const { width, height } = stage();
  const [x, y] = at ?? [width / 2, height / 2];
  const scale = Math.min(MAX_SCALE, Math.max(fitScale() / 4, view.scale * factor));
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  fitted = false;
  emit("view");
}

export function pan(dx, dy) {
  view.x += dx;
  view.y += dy;
  fitted = false;
  emit("view");
}

// A pointer event's place: on the stage, and in the image.
export function placeOf(event) {
  const { left, top, width } = stage();
  const across = event.clientX - left;
  const [x, y] = [state.options.compare && across >= width ? across - width : across, event.clientY - top];
  return { stage: [x, y], image: inImage([x, y]) };
}

export const inImage = ([x, y]) => [(x - view.x) / view.scale, (y - view.y) / view.scale];

// A box of the image as [x, y, width, height] on the stage.
export const onStage = ([x0, y0, x1, y1]) => [
  view.x + x0 * view.scale,
  view.y + y0 * view.scale,
  (x1 - x0) * view.scale,
  (y1 - y0) * view.scale,
];
