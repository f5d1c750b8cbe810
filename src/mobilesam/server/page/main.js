// The page: puts the parts together. Each part's own file says what it does.

import { Answers } from "./answers.js";
import { Banner } from "./banner.js";
import * as controls from "./controls.js";
import { Everything } from "./everything.js";
import { Gestures } from "./gestures.js";
import { Hover } from "./hover.js";
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
const UNSAVED = ["open", "select", "finish"]; // actions that leave the work as it is
let current = nothing();

const app = {
  state: () => current,
  dispatch,
  say: (text) => {
    element("status").textContent = text;
  },
  fail(error) {
    console.error(error);
    app.say(error.message ?? String(error));
  },
  busy(done = null, total = 1) {
    element("work").hidden = done === null;
    if (done !== null) Object.assign(element("work"), { max: total, value: done });
  },
  choose,
  selectAt,
  colour: () => rgb(PALETTE[(current.present.next - 1) % PALETTE.length]),
};
const layers = new Layers();
app.view = new View(stage, element("photo"), element("drawing"), draw);
app.hover = new Hover({
  ask: (point) => app.session.photo.embedding.logits(point),
  redraw: (after) => app.view.redraw("drawing", after),
  measured: (report) => {
    element("latency").textContent = report;
  },
  failed: app.fail,
});
app.everything = new Everything(app);
app.tools = new Tools(app);
app.banner = new Banner(app);
app.session = new Session({ shown, say: app.say, report: (saver, problem) => app.banner.report(saver, problem) });
app.answers = new Answers({ state: app.state, dispatch, failed: app.fail });
app.menu = new Menu(app);
new Gestures(stage, app.view, app.tools, () => app.session.photo !== null);
const list = new ObjectList({ list: element("objects"), names: element("names"), template: element("row"), dispatch });
app.photos = new PhotoList(app);

function dispatch(action) {
  const before = current;
  current = reduce(current, action);
  if (current === before) return;
  if (!UNSAVED.includes(action.type)) app.session.keep(current.present.objects);
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
  app.photos.draw();
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

function choose(mode) {
  app.tools.choose(mode);
  for (const button of document.querySelectorAll("#modes button"))
    button.setAttribute("aria-pressed", button.dataset.mode === mode);
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
      if (!(await app.everything.run(photo.embedding, photo.size, app.busy, isCurrent))) return;
    } finally {
      app.busy(null);
    }
  }
  app.say(`${app.everything.count} masks. Point at one and click to make it an object.`);
  app.view.redraw();
}

theme.start(element("theme"));
controls.listen(app);
choose("click");
refresh();
app.say("Open a picture to begin.");
app.session
  .start()
  .catch(app.fail)
  .finally(() => {
    stage.dataset.ready = true;
  });
