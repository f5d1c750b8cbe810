// Buttons, keys and files: what a person does outside the photo.

import * as keys from "./keys.js";

const element = (id) => document.getElementById(id);
const click = (id, action) => element(id).addEventListener("click", action);
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CROSSHAIR_STEP = 12; // CSS pixels

/** What keys and buttons of the same name do. */
function commandsOf(app) {
  const { tools, view, session, dispatch, choose } = app;
  const cross = (adds) => () => {
    if (tools.keyboard) tools.point(tools.keyboard, adds);
  };
  const turn = (step) => () => (session.queue.current ? void go(app, step) : false);
  return {
    finish: () => dispatch({ type: "finish" }),
    escape: () => escape(app),
    undo: () => dispatch({ type: "undo" }),
    redo: () => dispatch({ type: "redo" }),
    remove: () => removeActive(app),
    click: () => choose("click"),
    box: () => choose("box"),
    brush: () => choose("brush"),
    everything: () => choose("everything"),
    sign: () => chooseSign(app, !tools.adds),
    smaller: () => resizeBrush(app, 1 / 1.25),
    larger: () => resizeBrush(app, 1.25),
    hover: () => toggleHover(app),
    zoomIn: () => view.zoom(1.25),
    zoomOut: () => view.zoom(1 / 1.25),
    fit: () => view.fit(),
    crosshair: () => toggleCrosshair(app),
    crossAdd: cross(true),
    crossRemove: cross(false),
    next: turn(1),
    previous: turn(-1),
    done: () => markDone(app, !session.done),
    latency: () => {
      element("latency").hidden = !element("latency").hidden;
    },
    help: () => element("keys").showModal(),
  };
}

export function listen(app) {
  const commands = commandsOf(app);
  for (const button of document.querySelectorAll("#modes button")) {
    button.addEventListener("click", () => app.choose(button.dataset.mode));
  }
  for (const button of document.querySelectorAll("#signs button")) {
    button.addEventListener("click", () => chooseSign(app, button.dataset.adds === "true"));
  }
  for (const command of ["undo", "redo", "fit", "help", "next", "previous"]) click(command, commands[command]);
  click("zoom-in", commands.zoomIn);
  click("zoom-out", commands.zoomOut);
  click("new", commands.finish);
  element("done").addEventListener("change", ({ target }) => markDone(app, target.checked));
  element("size").addEventListener("input", ({ target }) => {
    app.tools.size = Number(target.value);
  });
  element("stage").addEventListener("pointerdown", () => app.answers.retry());
  addEventListener("visibilitychange", () => {
    if (document.hidden) app.session.saver?.flush();
  });
  listenForFiles(app);
  keys.listen(commands, (event) => moveCrosshair(app, event));
  keys.describe(element("keys").querySelector("dl"));
}

function listenForFiles(app) {
  const open = (file) => {
    if (file) app.session.openFile(file, file.name || "pasted.png").catch(app.fail);
  };
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const dropping = (is) => {
    element("dropping").hidden = !is;
  };
  element("file").addEventListener("change", ({ target }) => {
    open(target.files[0]);
    target.value = "";
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    dropping(hasFiles(event));
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) dropping(false);
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    dropping(false);
    open(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => open(event.clipboardData.files[0]));
  for (const button of document.querySelectorAll("[data-example]")) {
    const name = button.dataset.example;
    button.addEventListener("click", async () =>
      open(new File([await (await fetch(`/page/examples/${name}`)).blob()], name)),
    );
  }
}

async function go({ session, fail }, step) {
  const name = session.queue.neighbour(step);
  if (name) await session.openQueued(name).catch(fail);
}

function escape({ tools, hover, state, dispatch, choose }) {
  if (element("download").open) element("download").open = false;
  else if (tools.cancel()) return;
  else if (state().present.active !== null) dispatch({ type: "finish" });
  else if (tools.mode !== "click") choose("click");
  else hover.off();
}

function removeActive({ state, dispatch }) {
  if (state().present.active !== null) dispatch({ type: "remove", id: state().present.active });
}

function chooseSign({ tools, hover }, adds) {
  tools.adds = adds;
  for (const button of document.querySelectorAll("#signs button")) {
    button.setAttribute("aria-pressed", button.dataset.adds === String(adds));
  }
  if (!adds) hover.off();
}

function resizeBrush({ tools }, factor) {
  tools.resize(factor);
  element("size").value = tools.size;
}

function toggleHover({ tools, hover, say }) {
  tools.hovers = !tools.hovers;
  hover.off();
  say(`Live mask ${tools.hovers ? "on" : "off"}.`);
}

function toggleCrosshair({ session, tools, say }) {
  if (!session.photo) return;
  say(
    tools.toggleKeyboard() ? "Crosshair on: arrows move it, the full stop adds, the comma removes." : "Crosshair off.",
  );
}

function moveCrosshair({ tools, view }, event) {
  if (!tools.keyboard) return false;
  const step = event.shiftKey ? 1 : Math.max(1, CROSSHAIR_STEP / view.scale);
  tools.nudge(...ARROWS[event.key].map((direction) => direction * step));
  return true;
}

function markDone(app, done) {
  if (!app.session.queue.current) return false;
  app.session.done = done;
  app.session.keep(app.state().present.objects);
  app.photos.draw();
}
