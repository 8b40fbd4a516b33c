// COCO's run-length encoded masks: columns one after the other, runs of 0 and 1 in turn.

// The run lengths of a compressed RLE: base-32 digits, least first; from the fourth run on less the run two before.
export function runsOf(counts) {
  const runs = [];
  let at = 0;
  while (at < counts.length) {
    let value = 0;
    let digit = 0;
    let shift = 0;
    do {
      digit = counts.charCodeAt(at++) - 48;
      value += (digit & 31) * 2 ** shift;
      shift += 5;
    } while (digit & 32);
    if (digit & 16) value -= 2 ** shift;
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

// The pixels inside a region {x, y, width, height} of an image `height` pixels high: Uint8Array, row by row.
export function decode(counts, height, region) {
  const pixels = new Uint8Array(region.width * region.height);
  let start = 0;
  runsOf(counts).forEach((run, index) => {
    if (index % 2) fill(pixels, start, start + run, height, region);
    start += run;
  });
  return pixels;
}

function fill(pixels, start, end, height, region) {
  for (let at = start; at < end; ) {
    const column = Math.floor(at / height);
    const stop = Math.min(end, (column + 1) * height);
    const x = column - region.x;
    if (x >= 0 && x < region.width) {
      const top = Math.max(at - column * height - region.y, 0);
      const bottom = Math.min(stop - column * height - region.y, region.height);
      for (let y = top; y < bottom; y++) pixels[y * region.width + x] = 1;
    }
    at = stop;
  }
}

// The runs of a whole image of which only a region has pixels.
export function encode(pixels, region, width, height) {
  const runs = [];
  let value = 0;
  let run = 0;
  const push = (length, next) => {
    if (!length) return;
    if (next !== value) {
      runs.push(run);
      run = 0;
      value = next;
    }
    run += length;
  };
  push(region.x * height, 0);
  for (let x = 0; x < region.width; x++) {
    push(region.y, 0);
    for (let y = 0; y < region.height; y++) push(1, pixels[y * region.width + x]);
    push(height - region.y - region.height, 0);
  }
  push((width - region.x - region.width) * height, 0);
  runs.push(run);
  return runs;
}

// The whole pixels that a box touches, inside the image.
export function regionOf([x0, y0, x1, y1], width, height) {
  const x = Math.max(0, Math.floor(x0));
  const y = Math.max(0, Math.floor(y0));
  return { x, y, width: Math.max(1, Math.min(width, Math.ceil(x1)) - x), height: Math.max(1, Math.min(height, Math.ceil(y1)) - y) };
}

// The pixels whose centers lie in a box, at least one each way: those that the server counts as the box's.
export function centersIn([x0, y0, x1, y1]) {
  const span = (low, high) => {
    const [first, last] = [Math.ceil(low - 0.5), Math.ceil(high - 0.5)];
    return last > first ? [first, last - first] : [Math.floor((low + high) / 2), 1];
  };
  const [[x, width], [y, height]] = [span(x0, x1), span(y0, y1)];
  return { x, y, width, height };
}

// The tight box of an object's mask in an image {width, height}; null if it has no pixels.
export function tightened({ box, mask }, { width, height }) {
  const region = regionOf(box, width, height);
  const pixels = decode(mask, height, region);
  const [xs, ys] = [[], []];
  for (let at = 0; at < pixels.length; at++) {
    if (!pixels[at]) continue;
    xs[at % region.width] = true;
    ys[Math.floor(at / region.width)] = true;
  }
  if (!xs.length) return null;
  const [left, top] = [xs.indexOf(true), ys.indexOf(true)];
  return [region.x + left, region.y + top, region.x + xs.length, region.y + ys.length];
}

// A canvas of a region's pixels in a color [r, g, b], their rim opaque and the rest at `alpha` (0..1).
export function bitmap(pixels, region, color, alpha) {
  const { width, height } = region;
  const image = new ImageData(width, height);
  const isIn = (x, y) => x < 0 || y < 0 || x >= width || y >= height || pixels[y * width + x];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      if (!pixels[at]) continue;
      const inner = isIn(x - 1, y) && isIn(x + 1, y) && isIn(x, y - 1) && isIn(x, y + 1);
      image.data.set(color, 4 * at);
      image.data[4 * at + 3] = inner ? Math.round(255 * alpha) : 255 * Math.min(1, 4 * alpha);
    }
  }
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
