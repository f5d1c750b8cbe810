// The page: a photo, prompts by mouse, pen or finger, the mask over it.

import * as ort from "./ort/ort.wasm.min.mjs";
import { Sam } from "./sam.js";

const element = (id) => document.getElementById(id);
const [photo, overlay, output] = ["photo", "overlay", "status"].map(element);
const DRAG = 6; // pixels of the screen from which a click is a box
const MASK = [47, 111, 237, 120];

let sam, embedding, last = null, drag = null, asked = 0;
const prompts = []; // { points, bbox } after each step, the latest last

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
ort.env.wasm.proxy = true; // computes in a worker: the page stays alive

async function start() {
  const read = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
  const manifest = await (await fetch("manifest.json")).json();
  sam = await Sam.load(ort, manifest, read, { executionProviders: ["wasm"] });
  await show(await (await fetch("example.jpg")).blob());
}

async function show(file) {
  const bitmap = await createImageBitmap(file);
  for (const canvas of [photo, overlay]) Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
  photo.getContext("2d").drawImage(bitmap, 0, 0);
  prompts.length = 0;
  [embedding, last] = [null, null];
  say("Reading the photo …");
  draw();
  const { data } = photo.getContext("2d").getImageData(0, 0, bitmap.width, bitmap.height);
  const begin = performance.now();
  embedding = await sam.embed(data, bitmap.width, bitmap.height);
  say(`Ready (${seconds(begin)}). Click on an object.`);
}

async function ask() {
  const number = ++asked;
  const { points, bbox } = prompts.at(-1) ?? { points: [], bbox: null };
  const begin = performance.now();
  const found = points.length || bbox ? await sam.predict(embedding, points, bbox) : null;
  if (number !== asked) return; // a later prompt is on its way
  last = found;
  draw();
  overlay.dataset.answered = number; // for whoever drives the page by program
  say(found ? `Predicted quality ${found.iou.toFixed(2)} (${seconds(begin)}).` : "Click on an object.");
}

function push(change) {
  if (!embedding) return;
  const { points, bbox } = prompts.at(-1) ?? { points: [], bbox: null };
  prompts.push(change(points, bbox));
  ask().catch(fail);
}

function draw(box = prompts.at(-1)?.bbox) {
  const context = overlay.getContext("2d");
  context.clearRect(0, 0, overlay.width, overlay.height);
  if (last) context.putImageData(coloured(last.mask), 0, 0);
  const unit = overlay.width / (overlay.clientWidth || overlay.width);
  context.lineWidth = 2 * unit;
  if (box) {
    context.strokeStyle = "#fff";
    context.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
  }
  for (const [x, y, label] of prompts.at(-1)?.points ?? []) {
    context.beginPath();
    context.arc(x, y, 6 * unit, 0, 2 * Math.PI);
    context.fillStyle = label ? "#1fae5c" : "#d23b3b";
    context.strokeStyle = "#fff";
    context.fill();
    context.stroke();
  }
  for (const id of ["undo", "clear"]) element(id).disabled = prompts.length === 0;
  element("save").disabled = !last;
}

function coloured(mask) {
  const image = new ImageData(overlay.width, overlay.height);
  mask.forEach((inside, i) => inside && image.data.set(MASK, 4 * i));
  return image;
}

function saveCutOut() {
  const canvas = Object.assign(document.createElement("canvas"), { width: photo.width, height: photo.height });
  const image = photo.getContext("2d").getImageData(0, 0, photo.width, photo.height);
  last.mask.forEach((inside, i) => { if (!inside) image.data[4 * i + 3] = 0; });
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: "cutout.png" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

function place(event) {
  const bounds = overlay.getBoundingClientRect();
  const at = (value, from, length, pixels) => Math.min(Math.max(((value - from) / length) * pixels, 0), pixels - 1);
  return [at(event.clientX, bounds.left, bounds.width, overlay.width),
    at(event.clientY, bounds.top, bounds.height, overlay.height)];
}

overlay.addEventListener("pointerdown", (event) => {
  if (event.button > 0 && event.pointerType === "mouse" && event.button !== 2) return;
  overlay.setPointerCapture(event.pointerId);
  drag = { from: place(event), screen: [event.clientX, event.clientY], negative: event.shiftKey || event.button === 2 };
});
overlay.addEventListener("pointermove", (event) => drag && isBox(event) && draw(boxTo(event)));
overlay.addEventListener("pointerup", (event) => {
  if (!drag) return;
  const { from, negative } = drag;
  const box = isBox(event) ? boxTo(event) : null;
  drag = null;
  if (box) push(() => ({ points: [], bbox: box }));
  else push((points, bbox) => ({ points: [...points, [...from, negative ? 0 : 1]], bbox }));
});
overlay.addEventListener("pointercancel", () => { drag = null; draw(); });
overlay.addEventListener("contextmenu", (event) => event.preventDefault());
const isBox = (event) => !drag.negative && Math.hypot(event.clientX - drag.screen[0], event.clientY - drag.screen[1]) > DRAG;
const boxTo = (event) => {
  const [a, b] = [drag.from, place(event)];
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
};

const undo = () => { prompts.pop(); ask().catch(fail); };
const clear = () => { prompts.length = 0; ask().catch(fail); };
element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", clear);
element("save").addEventListener("click", saveCutOut);
element("file").addEventListener("change", (event) => event.target.files[0] && show(event.target.files[0]).catch(fail));
addEventListener("keydown", (event) => {
  if (!prompts.length) return;
  if (event.key === "Escape") clear();
  else if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files[0]) show(event.dataTransfer.files[0]).catch(fail);
});

function say(text) { output.textContent = text; }
function fail(error) { say(`That failed: ${error.message ?? error}`); console.error(error); }
function seconds(begin) { return `${((performance.now() - begin) / 1000).toFixed(1)} s`; }

start().catch(fail);
