// Mouse, pen and touch as a few plain events, all at places of the stage:
// hover(at, event), leave(), press(at, how), drag(from, to, how), tap(at, how), drop(from, to, how), cancel().
// `how` is {remove, alternate, touch}. The view zooms by wheel or two fingers, and pans by space, middle button or two
// fingers.

const MOVED = 6,
  LONG_PRESS = 500; // CSS pixels from which a press is a drag, milliseconds

export class Gestures {
  #pointers = new Map();
  #press = null;
  #timer = 0;

  /** `isOn` says whether there is a photo. */
  constructor(stage, view, listener, isOn) {
    Object.assign(this, { stage, view, listener, isOn, isSpaceDown: false });
    const on = (name, handler, options) => stage.addEventListener(name, handler.bind(this), options);
    on("pointerdown", this.#down);
    on("pointermove", this.#move);
    on("pointerup", this.#up);
    on("pointercancel", this.#lost);
    on("pointerleave", (event) => {
      if (!this.#pointers.size && event.pointerType !== "touch") listener.leave();
    });
    on("contextmenu", (event) => event.preventDefault());
    on("wheel", this.#wheel, { passive: false });
    addEventListener("keydown", (event) => {
      if (event.code === "Space") this.isSpaceDown = true;
    });
    addEventListener("keyup", (event) => {
      if (event.code === "Space") this.isSpaceDown = false;
    });
    addEventListener("blur", () => {
      this.isSpaceDown = false;
    });
  }

  #down(event) {
    if (event.target !== this.stage || !this.isOn()) return; // a button that lies over it, no photo
    const at = this.view.onStage(event);
    this.stage.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, at);
    if (this.#pointers.size > 1) return this.#drop();
    const touch = event.pointerType === "touch";
    const how = { remove: event.button === 2 || event.shiftKey, alternate: event.altKey, touch };
    const pans = event.button === 1 || this.isSpaceDown;
    this.#press = { id: event.pointerId, from: at, how, pans, moved: false };
    this.stage.classList.toggle("panning", pans);
    if (pans) return;
    this.listener.press(at, how);
    if (touch) this.#timer = setTimeout(() => this.#long(), LONG_PRESS);
  }

  #move(event) {
    const at = this.view.onStage(event),
      before = this.#pointers.get(event.pointerId);
    if (!before) return this.isOn() && this.listener.hover(at, event);
    if (this.#pointers.size === 2) this.#pinch(event.pointerId, at);
    this.#pointers.set(event.pointerId, at);
    const press = this.#press;
    if (press?.id !== event.pointerId) return;
    if (press.pans) return this.view.pan(at[0] - before[0], at[1] - before[1]);
    press.moved ||= Math.hypot(at[0] - press.from[0], at[1] - press.from[1]) > MOVED;
    if (!press.moved) return;
    clearTimeout(this.#timer);
    this.listener.drag(press.from, at, press.how);
  }

  #up(event) {
    const press = this.#press,
      at = this.view.onStage(event);
    this.#forget(event);
    if (press?.id !== event.pointerId || press.pans) return;
    if (press.moved) this.listener.drop(press.from, at, press.how);
    else this.listener.tap(press.from, press.how);
  }

  #lost(event) {
    if (this.#press?.id === event.pointerId) this.listener.cancel();
    this.#forget(event);
  }

  #forget(event) {
    clearTimeout(this.#timer);
    this.#pointers.delete(event.pointerId);
    if (this.#press?.id === event.pointerId) this.#press = null;
    this.stage.classList.remove("panning");
  }

  /** A finger that stays is a click that removes. */
  #long() {
    const press = this.#press;
    if (!press || press.moved) return;
    this.#press = null;
    navigator.vibrate?.(15);
    this.listener.tap(press.from, { ...press.how, remove: !press.how.remove });
  }

  /** A second finger: what the first one began was no click. */
  #drop() {
    clearTimeout(this.#timer);
    if (this.#press && !this.#press.pans) this.listener.cancel();
    this.#press = null;
  }

  #pinch(id, at) {
    const [[, other]] = [...this.#pointers].filter(([key]) => key !== id);
    const before = this.#pointers.get(id);
    const apart = (place) => Math.max(1, Math.hypot(place[0] - other[0], place[1] - other[1]));
    const middle = [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2];
    this.view.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.view.zoom(apart(at) / apart(before), middle);
  }

  #wheel(event) {
    event.preventDefault();
    if (!this.isOn()) return;
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.view.zoom(Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 100 : 400)), this.view.onStage(event));
  }
}
