// What a gesture means with the chosen tool, and what is drawn while it lasts.

const MODES = ["click", "box", "brush", "everything"];
const ADD = "#1a9850",
  REMOVE = "#d73027",
  LINE = "#ffffff",
  SHADE = "#000000";
const SIZES = [1, 200]; // of the brush: CSS pixels

export class Tools {
  #rubber = null;
  #stroke = null;
  #cursor = null;

  /** `app` has view, state(), dispatch(action), say(text), hover, everything. */
  constructor(app) {
    Object.assign(this, { app, mode: "click", adds: true, hovers: true, size: 16, keyboard: null });
  }

  choose(mode) {
    if (!MODES.includes(mode)) throw new Error(`No tool ${mode}`);
    this.mode = mode;
    this.cancel();
    this.leave();
  }

  resize(factor) {
    this.size = Math.min(SIZES[1], Math.max(SIZES[0], Math.round(this.size * factor + Math.sign(factor - 1))));
    this.app.view.redraw();
  }

  hover(at, { timeStamp }) {
    this.#cursor = at;
    if (this.mode === "brush") this.app.view.redraw();
    this.#live(at, timeStamp);
  }

  #live(at, timeStamp = performance.now()) {
    const { view, hover, everything } = this.app;
    const point = view.toPhoto(at);
    if (this.mode === "everything") return everything.hover(view.isInside(point) ? point : null);
    if (this.#isLive() && view.isInside(point))
      hover.move(point, [view.height, view.width], this.app.colour(), timeStamp);
    else hover.off();
  }

  /** A live mask shows what a click would begin: not while an object is being corrected. */
  #isLive() {
    return this.hovers && this.mode === "click" && this.adds && this.app.state().present.active === null;
  }

  leave() {
    this.#cursor = null;
    this.app.hover.off();
    this.app.everything.hover(null);
    this.app.view.redraw();
  }

  press(at, how) {
    if (this.mode !== "brush") return;
    const { scale } = this.app.view;
    this.#stroke = { add: this.#adds(how), radius: rounded(this.size / 2 / scale), path: [this.#place(at)] };
    this.app.view.redraw();
  }

  drag(from, to, how) {
    this.#cursor = to;
    if (this.#stroke) this.#stroke.path.push(this.#place(to));
    else if (this.mode !== "everything" && !how.remove) this.#rubber = this.#box(from, to);
    this.app.hover.off();
    this.app.view.redraw();
  }

  drop(from, to, how) {
    const [box, stroke] = [this.#rubber, this.#stroke];
    this.cancel();
    if (stroke) this.app.dispatch({ type: "stroke", stroke });
    else if (box && box[2] - box[0] >= 1 && box[3] - box[1] >= 1) {
      this.app.dispatch({ type: "box", box, fresh: this.mode === "box" });
    } else if (this.mode === "everything") this.tap(to, how);
  }

  tap(at, how) {
    const stroke = this.#stroke,
      point = this.app.view.toPhoto(at);
    this.cancel();
    if (!this.app.view.isInside(point)) return;
    if (this.mode === "everything") return this.app.everything.pick(point);
    if (stroke) return this.app.dispatch({ type: "stroke", stroke: { ...stroke, add: this.#adds(how) } });
    if (how.alternate) return this.app.selectAt(point);
    this.point(point, this.#adds(how));
  }

  point(point, adds) {
    if (!adds && this.app.state().present.active === null) {
      return this.app.say("Click on an object first, then on what doesn't belong to it.");
    }
    this.app.hover.off();
    this.app.dispatch({ type: "point", x: rounded(point[0]), y: rounded(point[1]), label: adds ? 1 : 0 });
  }

  cancel() {
    const began = this.#rubber || this.#stroke;
    this.#rubber = this.#stroke = null;
    this.app.view.redraw();
    return Boolean(began);
  }

  /** A crosshair that arrow keys move, for those who have no pointer. */
  toggleKeyboard() {
    const { view } = this.app;
    this.keyboard = this.keyboard ? null : [view.width / 2, view.height / 2];
    if (!this.keyboard) this.leave();
    else this.nudge(0, 0);
    return this.keyboard !== null;
  }

  nudge(dx, dy) {
    const { view } = this.app;
    const [x, y] = this.keyboard;
    this.keyboard = [Math.min(Math.max(x + dx, 0), view.width - 0.5), Math.min(Math.max(y + dy, 0), view.height - 0.5)];
    this.#live(view.toStage(this.keyboard));
    view.redraw();
  }

  #adds(how) {
    return how.remove ? !this.adds : this.adds;
  }

  #place(at) {
    return this.app.view.toPhoto(at).map(rounded);
  }

  #box(from, to) {
    const { view } = this.app;
    const [a, b] = [from, to].map((at) => view.clamp(view.toPhoto(at)).map(rounded));
    return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
  }

  /** The context is in the stage's pixels. */
  draw(context, active) {
    const { view } = this.app;
    if (this.#stroke) this.#drawStroke(context, view);
    const box = this.#rubber ?? active?.box;
    if (box) drawBox(context, view.toStage(box.slice(0, 2)), view.toStage(box.slice(2)));
    for (const [x, y, label] of active?.points ?? []) drawPoint(context, view.toStage([x, y]), label);
    if (this.mode === "brush" && this.#cursor) drawRing(context, this.#cursor, this.size / 2);
    if (this.keyboard) drawCross(context, view.toStage(this.keyboard));
  }

  #drawStroke(context, view) {
    const { add, radius, path } = this.#stroke;
    context.strokeStyle = add ? ADD : REMOVE;
    context.globalAlpha = 0.5;
    context.lineWidth = 2 * radius * view.scale;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    for (const place of [path[0], ...path]) context.lineTo(...view.toStage(place));
    context.stroke();
    context.globalAlpha = 1;
  }
}

const rounded = (value) => Math.round(value * 100) / 100;

function twice(context, trace) {
  for (const [colour, width] of [
    [SHADE, 3.5],
    [LINE, 1.5],
  ]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: width });
    context.beginPath();
    trace();
    context.stroke();
  }
}

function drawBox(context, [x1, y1], [x2, y2]) {
  twice(context, () => context.rect(x1, y1, x2 - x1, y2 - y1));
}

function drawRing(context, [x, y], radius) {
  twice(context, () => context.arc(x, y, Math.max(radius, 1.5), 0, 2 * Math.PI));
}

function drawCross(context, [x, y]) {
  twice(context, () => {
    for (const [dx, dy] of [
      [1, 0],
      [0, 1],
    ]) {
      context.moveTo(x - 14 * dx, y - 14 * dy);
      context.lineTo(x + 14 * dx, y + 14 * dy);
    }
  });
}

/** A plus on green, a minus on red: not by colour alone. */
function drawPoint(context, [x, y], label) {
  context.beginPath();
  context.arc(x, y, 8, 0, 2 * Math.PI);
  Object.assign(context, { fillStyle: label ? ADD : REMOVE, strokeStyle: LINE, lineWidth: 2 });
  context.fill();
  context.stroke();
  context.beginPath();
  context.moveTo(x - 4, y);
  context.lineTo(x + 4, y);
  if (label) {
    context.moveTo(x, y - 4);
    context.lineTo(x, y + 4);
  }
  context.stroke();
}
