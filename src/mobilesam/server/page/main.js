// The page: puts the parts together. Each part's own file says what it does.

import { Answers } from "./answers.js";
import { Everything } from "./everything.js";
import { Gestures } from "./gestures.js";
import { Hover } from "./hover.js";
import * as keys from "./keys.js";
import { Layers, rgb } from "./layers.js";
import { Lookup } from "./rle.js";
import { Menu } from "./menu.js";
import { ObjectList } from "./objects.js";
import { PhotoList } from "./photos.js";
import { Session } from "./session.js";
import { PALETTE, activeOf, nothing, reduce } from "./state.js";
import * as theme from "./theme.js";
import { Tools } from "./tools.js";
import { View } from "./view.js";

const element = (id) => document.getElementById(id);
const stage = element("stage");
let current = nothing();

const app = {
  state: () => current,
  dispatch,
  say: (text) => { element("status").textContent = text; },
  fail(error) {
    console.error(error);
    app.say(error.message ?? String(error));
  },
  busy(done = null, total = 1) {
    element("work").hidden = done === null;
    if (done !== null) Object.assign(element("work"), { max: total, value: done });
  },
  selectAt,
};
const layers = new Layers();
app.view = new View(stage, element("photo"), element("drawing"), draw);
app.hover = new Hover({
  ask: (point) => app.session.photo.embedding.logits(point),
  redraw: (after) => app.view.redraw("drawing", after && (() => { after(); showLatency(); })),
  failed: app.fail,
});
app.everything = new Everything(app);
app.tools = new Tools(app);
app.session = new Session({ shown, say: app.say, report });
app.answers = new Answers({ state: app.state, dispatch, failed: app.fail });
app.menu = new Menu(app);
new Gestures(stage, app.view, {
  hover: (at, event) => app.session.photo && app.tools.hover(at, event),
  leave: () => app.tools.leave(),
  press: (at, how) => app.session.photo && app.tools.press(at, how),
  drag: (from, to, how) => app.session.photo && app.tools.drag(from, to, how),
  drop: (from, to, how) => app.session.photo && app.tools.drop(from, to, how),
  tap: (at, how) => app.session.photo && app.tools.tap(at, how),
  cancel: () => app.tools.cancel(),
});
const list = new ObjectList({ list: element("objects"), names: element("names"), template: element("row"), dispatch });
const photos = new PhotoList(app);

function dispatch(action) {
  const before = current;
  current = reduce(current, action);
  if (current === before) return;
  if (action.type !== "open" && action.type !== "select" && action.type !== "finish") app.session.keep(current.present.objects);
  app.answers.update();
  refresh();
  if (action.type === "answer") app.say(answerText(action));
}

function answerText({ id, iou }) {
  const object = current.present.objects.find((one) => one.id === id);
  return object ? `Object ${id}: predicted quality ${Math.min(1, iou).toFixed(2)}` : "";
}

function refresh() {
  const { past, present, future } = current;
  list.draw(present);
  element("undo").disabled = past.length === 0;
  element("redo").disabled = future.length === 0;
  element("count").textContent = present.objects.length || "";
  element("no-objects").hidden = present.objects.length > 0;
  element("new").disabled = present.active === null;
  stage.dataset.waiting = app.answers.isWaiting;
  photos.draw();
  app.menu.draw();
  app.view.redraw();
}

function shown(photo, objects) {
  app.everything.clear();
  app.hover.off();
  app.tools.cancel();
  if (app.tools.mode === "everything") choose("click");
  app.tools.keyboard = null;
  app.answers.reset(photo.embedding);
  app.view.show(photo.bitmap);
  element("welcome").hidden = true;
  stage.dataset.photo = document.title = photo.name;
  dispatch({ type: "open", size: photo.size, objects });
  app.say(`${photo.name}, ${photo.size[1]} × ${photo.size[0]}. Click on an object.`);
}

function draw(context, view) {
  if (!app.session.photo) return;
  const { objects, active } = current.present;
  view.place(context);
  context.imageSmoothingEnabled = view.scale < 3;
  if (app.tools.mode === "everything") app.everything.draw(context);
  layers.draw(context, objects, active);
  if (app.tools.mode === "everything") app.everything.drawOver(context);
  app.hover.draw(context);
  view.unplace(context);
  app.tools.draw(context, activeOf(current));
}

function selectAt(point) {
  const [x, y] = point.map(Math.floor);
  const hit = current.present.objects.findLast(({ rle, hidden }) => rle && !hidden && new Lookup(rle).has(x, y));
  dispatch({ type: "select", id: hit?.id ?? null });
}

app.colour = () => rgb(PALETTE[(current.present.next - 1) % PALETTE.length]);

function choose(mode) {
  app.tools.choose(mode);
  for (const button of document.querySelectorAll("#modes button")) button.setAttribute("aria-pressed", button.dataset.mode === mode);
  element("size-row").hidden = mode !== "brush";
  element("signs").hidden = mode === "everything";
  stage.dataset.mode = mode;
  if (mode === "everything") findEverything().catch(app.fail);
}

async function findEverything() {
  const { photo } = app.session;
  if (!photo || app.everything.isRunning) return;
  if (!app.everything.count) {
    app.say("Looking for everything …");
    app.busy(0);
    const isCurrent = () => app.session.photo === photo;
    try {
      if (!await app.everything.run(photo.embedding, photo.size, app.busy, isCurrent)) return;
    } finally {
      app.busy(null);
    }
  }
  app.say(`${app.everything.count} masks. Point at one and click to make it an object.`);
  app.view.redraw();
}

function sign(adds) {
  app.tools.adds = adds;
  for (const button of document.querySelectorAll("#signs button")) button.setAttribute("aria-pressed", button.dataset.adds === String(adds));
  if (!adds) app.hover.off();
}

function brush(factor) {
  app.tools.resize(factor);
  element("size").value = app.tools.size;
}

/** What a saver has to say: failures stay on the screen until they are over. */
const problems = new Map();
function report(saver, problem) {
  if (problem) problems.set(saver, problem);
  else problems.delete(saver);
  const [first, error] = [...problems][0] ?? [];
  const conflict = error?.status === 409 && first === app.session.saver;
  const kept = first?.put ? " The work is kept in this browser until it can be saved." : "";
  element("banner").hidden = !error;
  element("banner").firstElementChild.textContent = error ? `Not saved: ${error.message}${conflict ? "" : kept}` : "";
  element("mine").hidden = element("theirs").hidden = !conflict;
  element("again").hidden = !first?.put || conflict;
  stage.dataset.saved = !error;
}

function showLatency() {
  element("latency").textContent = app.hover.report();
}

async function open(file) {
  if (!file) return;
  try {
    await app.session.openFile(file, file.name || "pasted.png");
  } catch (error) {
    app.fail(error);
  }
}

async function go(step) {
  const name = app.session.queue.current && app.session.queue.neighbour(step);
  if (name) await app.session.openQueued(name).catch(app.fail);
}

function markDone(done) {
  if (!app.session.queue.current) return false;
  app.session.done = done;
  app.session.keep(current.present.objects);
  photos.draw();
}

function escape() {
  if (element("download").open) element("download").open = false;
  else if (app.tools.cancel()) return;
  else if (current.present.active !== null) dispatch({ type: "finish" });
  else if (app.tools.mode !== "click") choose("click");
  else app.hover.off();
}

function removeActive() {
  if (current.present.active !== null) dispatch({ type: "remove", id: current.present.active });
}

const cross = (adds) => () => { if (app.tools.keyboard) app.tools.point(app.tools.keyboard, adds); };
const commands = {
  finish: () => dispatch({ type: "finish" }),
  escape,
  undo: () => dispatch({ type: "undo" }),
  redo: () => dispatch({ type: "redo" }),
  remove: removeActive,
  click: () => choose("click"),
  box: () => choose("box"),
  brush: () => choose("brush"),
  everything: () => choose("everything"),
  sign: () => sign(!app.tools.adds),
  smaller: () => brush(1 / 1.25),
  larger: () => brush(1.25),
  hover() {
    app.tools.hovers = !app.tools.hovers;
    app.hover.off();
    app.say(`Live mask ${app.tools.hovers ? "on" : "off"}.`);
  },
  zoomIn: () => app.view.zoom(1.25),
  zoomOut: () => app.view.zoom(1 / 1.25),
  fit: () => app.view.fit(),
  crosshair: () => { if (app.session.photo) app.say(`Crosshair ${app.tools.toggleKeyboard() ? "on: arrows move it, . adds, , removes" : "off"}.`); },
  crossAdd: cross(true),
  crossRemove: cross(false),
  next: () => app.session.queue.current ? void go(1) : false,
  previous: () => app.session.queue.current ? void go(-1) : false,
  done: () => markDone(!app.session.done),
  latency: () => { element("latency").hidden = !element("latency").hidden; showLatency(); },
  help: () => element("keys").showModal(),
};

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
function arrows(event) {
  if (!app.tools.keyboard) return false;
  const step = event.shiftKey ? 1 : Math.max(1, 12 / app.view.scale);
  app.tools.nudge(...ARROWS[event.key].map((direction) => direction * step));
  return true;
}

function listen() {
  const click = (id, action) => element(id).addEventListener("click", action);
  for (const button of document.querySelectorAll("#modes button")) button.addEventListener("click", () => choose(button.dataset.mode));
  for (const button of document.querySelectorAll("#signs button")) button.addEventListener("click", () => sign(button.dataset.adds === "true"));
  const pairs = { undo: "undo", redo: "redo", "zoom-in": "zoomIn", "zoom-out": "zoomOut", fit: "fit", help: "help", new: "finish", next: "next", previous: "previous" };
  for (const [id, command] of Object.entries(pairs)) click(id, commands[command]);
  click("mine", () => app.session.keepMine().catch(app.fail));
  click("theirs", () => app.session.takeSaved().catch(app.fail));
  click("again", () => [...problems.keys()].forEach((saver) => saver.flush()));
  element("done").addEventListener("change", ({ target }) => markDone(target.checked));
  element("size").addEventListener("input", ({ target }) => { app.tools.size = Number(target.value); });
  element("file").addEventListener("change", ({ target }) => { open(target.files[0]); target.value = ""; });
  for (const button of document.querySelectorAll("[data-example]")) button.addEventListener("click", () => example(button.dataset.example));
  listenForFiles();
  addEventListener("visibilitychange", () => { if (document.hidden) app.session.saver?.flush(); });
  stage.addEventListener("pointerdown", () => app.answers.retry());
  keys.listen(commands, arrows);
  keys.describe(element("keys").querySelector("dl"));
}

async function example(name) {
  const response = await fetch(`/page/examples/${name}`);
  await open(new File([await response.blob()], name));
}

function listenForFiles() {
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const dropping = (is) => { element("dropping").hidden = !is; };
  addEventListener("dragover", (event) => { event.preventDefault(); dropping(hasFiles(event)); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) dropping(false); });
  addEventListener("drop", (event) => { event.preventDefault(); dropping(false); open(event.dataTransfer.files[0]); });
  addEventListener("paste", (event) => { if (event.clipboardData.files[0]) open(event.clipboardData.files[0]); });
}

theme.start(element("theme"));
listen();
choose("click");
refresh();
stage.dataset.saved = true;
app.say("Open a picture to begin.");
app.session.start().catch(app.fail).finally(() => { stage.dataset.ready = true; });
