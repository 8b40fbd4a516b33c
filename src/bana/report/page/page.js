const read = (id) => JSON.parse(document.getElementById(id).textContent);
const find = (id) => document.getElementById(id);
const { classes, colors, layers, images } = read("data");
const OPAQUE = new Set(["confidence", "sigma"]);
const view = { left: "photo", right: "y_crf", wipe: 0, opacity: 65, boxes: true };

const byUncertainty = (a, b) => b.uncertainty - a.uncertainty;
const byScore = (a, b) => (a.score ?? 101) - (b.score ?? 101);
const scored = images.some((image) => image.score !== null);
const ORDERS = {
  "most uncertain": byUncertainty,
  surest: (a, b) => byUncertainty(b, a),
  ...(scored && { "worst against truth": byScore, "best against truth": (a, b) => (b.score ?? -1) - (a.score ?? -1) }),
  "most boxes": (a, b) => b.boxes.length - a.boxes.length,
  name: (a, b) => a.id.localeCompare(b.id),
};

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** One side of a picture: the photograph and what lies on it. */
function side(place, layer, sources) {
  const made = element("span", { className: `side ${place}` }, element("img", { alt: "", src: sources.photo }));
  if (layer !== "photo" && layer in sources) {
    const kind = OPAQUE.has(layer) || layer === "unreliable" ? "over" : "over mask";
    made.append(element("img", { alt: "", className: kind, src: sources[layer] }));
  }
  return made;
}

function outlines(image) {
  const made = drawn("svg", { viewBox: `0 0 ${image.width} ${image.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  for (const [x0, y0, x1, y1, id] of image.boxes)
    made.append(drawn("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0, stroke: colors[id] }));
  return made;
}

/** Put the picture of an image into its stack; pictures far from the screen are taken out again. */
function fill(stack) {
  const image = images[stack.dataset.index];
  const sources = read(`layers-${stack.dataset.index}`);
  stack.replaceChildren(
    side("left", view.left, sources), side("right", view.right, sources),
    outlines(image), element("span", { className: "edge" }),
  );
}

function stackOf(index) {
  const { width, height } = images[index];
  const made = element("span", { className: "stack" });
  made.dataset.index = index;
  made.style.aspectRatio = `${width} / ${height}`;
  made.style.setProperty("--ratio", width / height);
  return made;
}

const near = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) { near.add(target); fill(target); }
    else { near.delete(target); target.replaceChildren(); }
  }
}, { rootMargin: "600px" });

function words(image) {
  const score = image.score === null ? "" : ` · truth ${image.score.toFixed(0)} %`;
  return `${image.boxes.length} ${image.boxes.length === 1 ? "box" : "boxes"} · uncertainty ${(100 * image.uncertainty).toFixed(0)} %${score}`;
}

function tile(index) {
  const image = images[index];
  const stack = stackOf(index);
  watcher.observe(stack);
  const button = element("button", { type: "button" }, stack,
    element("span", { className: "words" }, element("b", { textContent: image.id }), element("br"), words(image)));
  button.addEventListener("click", () => open(index));
  return element("li", { className: "tile" }, button);
}

let order = [];
function list() {
  const wanted = Number(find("class").value);
  const part = find("search").value.toLowerCase();
  order = [...images.keys()]
    .filter((index) => !wanted || images[index].boxes.some((box) => box[4] === wanted))
    .filter((index) => images[index].id.toLowerCase().includes(part))
    .sort((a, b) => ORDERS[find("sort").value](images[a], images[b]));
  for (const stack of find("tiles").querySelectorAll(".stack")) { watcher.unobserve(stack); near.delete(stack); }
  find("tiles").replaceChildren(...order.map(tile));
  find("count").textContent = `${order.length} of ${images.length} images`;
}

/* The large picture */
const viewer = find("viewer");
let current = 0;

function open(index) {
  current = index;
  const image = images[index];
  find("viewer-title").textContent = `${image.id}: ${words(image)}`;
  const stack = stackOf(index);
  find("large").replaceChildren(stack);
  stack.setAttribute("role", "img");
  stack.setAttribute("aria-label", `Photograph ${image.id} with its labels`);
  fill(stack);
  stack.addEventListener("pointerdown", (event) => stack.setPointerCapture(event.pointerId));
  for (const kind of ["pointerdown", "pointermove"])
    stack.addEventListener(kind, (event) => {
      if (!event.buttons) return;
      const { left, width } = stack.getBoundingClientRect();
      change("wipe", Math.round(Math.min(100, Math.max(0, (100 * (event.clientX - left)) / width))));
    });
  const percent = (value) => `${(100 * value).toFixed(0)} %`;
  find("boxes").replaceChildren(...image.boxes.map(([, , , , id, status, confidence, rate, predicted], number) => {
    const dot = element("span", { className: "dot" });
    dot.style.background = colors[id];
    const said = predicted === null ? "–" : predicted === 0 ? "background" : classes[predicted];
    const row = element("tr", { tabIndex: 0 },
      element("th", { scope: "row", textContent: number + 1 }),
      element("td", {}, dot, classes[id]),
      ...[status, percent(confidence), percent(rate), said].map((text) => element("td", { textContent: text })));
    const mark = (found) => () => find("large").querySelectorAll("rect")[number].classList.toggle("found", found);
    for (const kind of ["pointerenter", "focus"]) row.addEventListener(kind, mark(true));
    for (const kind of ["pointerleave", "blur"]) row.addEventListener(kind, mark(false));
    return row;
  }));
  find("files").replaceChildren(...Object.entries(image.files).flatMap(([name, href]) =>
    [element("a", { href, textContent: name }), " "]));
  if (!viewer.open) viewer.showModal();
}

function step(by) {
  const shown = order.includes(current) ? order : [...images.keys()];
  open(shown[(shown.indexOf(current) + by + shown.length) % shown.length]);
}

/* Controls: those of the gallery and of the large picture are the same */
function change(name, value) {
  view[name] = value;
  for (const control of document.getElementsByName(name))
    if (control.type === "checkbox") control.checked = value;
    else control.value = value;
  document.documentElement.style.setProperty("--wipe", `${view.wipe}%`);
  document.documentElement.style.setProperty("--masks", view.opacity / 100);
  document.documentElement.classList.toggle("no-boxes", !view.boxes);
  if (name === "left" || name === "right") {
    near.forEach(fill);
    find("large").querySelectorAll(".stack").forEach(fill);
  }
}

for (const name of Object.keys(view))
  for (const control of document.getElementsByName(name)) {
    if (control.tagName === "SELECT")
      control.append(...Object.entries(layers).map(([value, text]) => element("option", { value, textContent: text })));
    control.addEventListener("input", () =>
      change(name, control.type === "checkbox" ? control.checked : control.type === "range" ? Number(control.value) : control.value));
  }
for (const [name, value] of Object.entries(view)) change(name, value);

const present = new Set(images.flatMap((image) => image.boxes.map((box) => box[4])));
find("class").append(...Object.entries(classes).filter(([id]) => present.has(Number(id)))
  .map(([value, textContent]) => element("option", { value, textContent })));
find("sort").append(...Object.keys(ORDERS).map((name) => element("option", { value: name, textContent: name })));
for (const id of ["class", "sort", "search"]) find(id).addEventListener("input", list);
find("close").addEventListener("click", () => viewer.close());
find("previous").addEventListener("click", () => step(-1));
find("next").addEventListener("click", () => step(1));
viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
viewer.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select")) return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
  const wanted = Object.keys(layers)[Number(event.key) - 1];
  if (wanted) change("right", wanted);
});

const ranked = [...images.keys()].filter((index) => !scored || images[index].score !== null).sort((a, b) => (scored ? byScore : byUncertainty)(images[a], images[b]));
const count = Math.min(6, Math.floor(images.length / 2) || 1);
find("worst").replaceChildren(...ranked.slice(0, count).map(tile));
find("best").replaceChildren(...ranked.slice(-count).reverse().map(tile));
list();
