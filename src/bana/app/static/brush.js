// Brush and eraser: the stroke's pixels are found here, so that what is seen is what is kept.

import { centersIn, encode } from "./masks.js";
import { act, classOf, set, state } from "./state.js";

// Why an object cannot be painted; null if it can.
export function paintable(object) {
  if (!object) return "Choose a box first: click into it, or press . and ,";
  return object.crowd ? "A crowd region has no mask to paint" : null;
}

export class Stroke {
  // A stroke in an object's box, of the size that the brush has now.
  constructor(object, erases) {
    const { width, height } = state.review;
    this.object = object;
    this.erases = erases;
    this.radius = state.options.brush;
    this.region = centersIn(object.box, width, height);
    this.pixels = new Uint8Array(this.region.width * this.region.height);
    this.canvas = new OffscreenCanvas(this.region.width, this.region.height);
    this.context = this.canvas.getContext("2d");
    this.context.fillStyle = erases ? "rgb(22 24 29 / 0.6)" : classOf(object.class_id).color;
    this.last = null;
  }

  // Go on to a place in the image.
  to([x, y]) {
    const here = [x - this.region.x, y - this.region.y];
    const from = this.last ?? here;
    const steps = Math.max(1, Math.ceil(Math.hypot(here[0] - from[0], here[1] - from[1]) / Math.max(1, this.radius / 3)));
    for (let step = 1; step <= steps; step++) {
      const share = step / steps;
      this.stamp(from[0] + (here[0] - from[0]) * share, from[1] + (here[1] - from[1]) * share);
    }
    this.last = here;
    set({ ghost: { region: this.region, canvas: this.canvas } }, "ghost");
  }

  // The pixels whose centers are within the radius of a point.
  stamp(x, y) {
    const { width, height } = this.region;
    for (let row = Math.max(0, Math.ceil(y - this.radius - 0.5)); row < height && row + 0.5 <= y + this.radius; row++) {
      const half = Math.sqrt(Math.max(0, this.radius ** 2 - (row + 0.5 - y) ** 2));
      const left = Math.max(0, Math.ceil(x - half - 0.5));
      const right = Math.min(width, Math.floor(x + half - 0.5) + 1);
      for (let column = left; column < right; column++) this.mark(row, column);
    }
  }

  mark(row, column) {
    const at = row * this.region.width + column;
    if (this.pixels[at]) return;
    this.pixels[at] = 1;
    this.context.fillRect(column, row, 1, 1);
  }

  end() {
    const { width, height } = state.review;
    const runs = encode(this.pixels, this.region, width, height);
    act({ do: this.erases ? "erase" : "paint", key: this.object.key, runs });
  }
}
