// Help, export, and photographs that are added.

import * as api from "./api.js";
import { SHORTCUTS } from "./keys.js";
import { element } from "./queue.js";
import { loadRows, open, toast } from "./state.js";
import { chooseTool } from "./keys.js";

const place = (id) => document.getElementById(id);

function startHelp() {
  for (const [shown, text] of SHORTCUTS) {
    if (shown) place("shortcuts").append(element("dt", {}, element("kbd", { textContent: shown })), element("dd", { textContent: text }));
  }
  place("help-button").onclick = () => place("help").showModal();
}

function written(result, format) {
  const lines = [element("p", { textContent: `${result.images} images, ${result.objects} boxes written to` }), element("code", { textContent: result.folder })];
  if (format === "training") {
    const command = `bana segment ${result.folder}/data --labels ${result.folder}/labels --out network`;
    lines.push(element("p", { textContent: "To train on them:" }), element("code", { textContent: command }));
  }
  const lost = Object.entries(result.lost).map(([what, count]) => element("li", { textContent: `${what}: ${count}` }));
  if (lost.length) lines.push(element("p", { textContent: "What the format cannot hold:" }), element("ul", {}, ...lost));
  if (result.rejected.length) {
    const reasons = result.rejected.map((reason) => element("li", { className: "fault", textContent: reason }));
    lines.push(element("p", { textContent: "Left out:" }), element("ul", {}, ...reasons));
  }
  return lines;
}

function startExport() {
  const result = place("export-result");
  place("export-button").onclick = () => {
    result.replaceChildren();
    place("export").showModal();
  };
  place("export-close").onclick = () => place("export").close();
  place("export-form").onsubmit = async (event) => {
    event.preventDefault();
    const format = place("export-format").value;
    result.replaceChildren(element("p", { textContent: "Writing…" }));
    try {
      result.replaceChildren(...written(await api.write(format, place("export-which").value), format));
    } catch (error) {
      result.replaceChildren(element("p", { className: "fault", textContent: error.message }));
    }
  };
}

async function add(files) {
  let last = null;
  for (const file of files) {
    try {
      last = (await api.upload(file)).image;
    } catch (error) {
      toast(error.message);
    }
  }
  if (!last) return;
  await loadRows(false);
  await open(last);
  chooseTool("box");
  toast("Choose a class, and draw a box around an object");
}

function startUpload() {
  const input = place("upload-file");
  place("upload-button").onclick = () => input.click();
  input.onchange = async () => {
    await add(input.files);
    input.value = "";
  };
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const hint = (isShown) => (place("drop").hidden = !isShown);
  window.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    hint(true);
  });
  window.addEventListener("dragleave", (event) => !event.relatedTarget && hint(false));
  window.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    hint(false);
    add(event.dataTransfer.files);
  });
  window.addEventListener("paste", (event) => event.clipboardData.files.length && add(event.clipboardData.files));
}

export function startDialogs() {
  startHelp();
  startExport();
  startUpload();
}
