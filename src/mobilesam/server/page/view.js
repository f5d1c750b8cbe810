// Where the photo lies on the screen: zoom, pan, and two canvases over each other, the photo's and the drawing's.

const MOST = 40,
  MARGIN = 24,
  KEEP = 60; // zoom, and CSS pixels around a fitted photo and of it that stay in sight

export class View {
  #photo;
  #drawing;
  #bitmap = null;
  #dirty = new Set();
  #after = [];

  constructor(stage, photo, drawing, draw) {
    Object.assign(this, { stage, draw, scale: 1, x: 0, y: 0, width: 0, height: 0, fitted: true });
    [this.#photo, this.#drawing] = [photo, drawing];
    new ResizeObserver(() => this.#resize()).observe(stage);
  }

  show(bitmap) {
    this.#bitmap = bitmap;
    [this.width, this.height] = bitmap ? [bitmap.width, bitmap.height] : [0, 0];
    this.fit();
  }

  fit() {
    if (!this.#bitmap) return this.changed();
    const { clientWidth, clientHeight } = this.stage;
    this.scale = Math.min((clientWidth - 2 * MARGIN) / this.width, (clientHeight - 2 * MARGIN) / this.height, 8);
    this.scale = Math.max(this.scale, 0.01);
    this.x = (clientWidth - this.width * this.scale) / 2;
    this.y = (clientHeight - this.height * this.scale) / 2;
    this.fitted = true;
    this.changed();
  }

  /** Zoom about a place of the stage, by default its middle. */
  zoom(factor, at = [this.stage.clientWidth / 2, this.stage.clientHeight / 2]) {
    const least = Math.min(1, this.stage.clientWidth / this.width, this.stage.clientHeight / this.height) / 4;
    const scale = Math.min(Math.max(this.scale * factor, least), MOST);
    this.#move(scale, at[0] - ((at[0] - this.x) * scale) / this.scale, at[1] - ((at[1] - this.y) * scale) / this.scale);
  }

  pan(dx, dy) {
    this.#move(this.scale, this.x + dx, this.y + dy);
  }

  #move(scale, x, y) {
    const within = (value, length, room) => Math.min(Math.max(value, KEEP - length * scale), room - KEEP);
    this.scale = scale;
    this.x = within(x, this.width, this.stage.clientWidth);
    this.y = within(y, this.height, this.stage.clientHeight);
    this.fitted = false;
    this.changed();
  }

  /** A place of the stage for one in the window, as events give it. */
  onStage({ clientX, clientY }) {
    const { left, top } = this.stage.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  /** The photo's pixels (fractions too) for a place of the stage. */
  toPhoto([x, y]) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  toStage([x, y]) {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }

  isInside([x, y]) {
    return x >= 0 && y >= 0 && x < this.width && y < this.height;
  }

  clamp([x, y]) {
    return [Math.min(Math.max(x, 0), this.width), Math.min(Math.max(y, 0), this.height)];
  }

  changed() {
    this.redraw("photo");
    this.redraw("drawing");
  }

  /** Draw one canvas with the next frame; `after` is called when that frame has been painted. */
  redraw(which = "drawing", after = null) {
    if (after) this.#after.push(after);
    if (!this.#dirty.size) requestAnimationFrame(() => this.#frame());
    this.#dirty.add(which);
  }

  #frame() {
    if (this.#dirty.has("photo")) this.#drawPhoto();
    this.stage.dataset.view = [this.scale, this.x, this.y]; // for whoever drives the page by program
    if (this.#dirty.has("drawing")) this.draw(this.#cleared(this.#drawing), this);
    this.#dirty.clear();
    const after = this.#after.splice(0);
    if (!after.length) return;
    const { port1, port2 } = new MessageChannel(); // a message posted in a frame comes after its painting
    port1.onmessage = () => {
      after.forEach((call) => call());
      port1.close();
    };
    port2.postMessage(null);
  }

  #drawPhoto() {
    const context = this.#cleared(this.#photo);
    if (!this.#bitmap) return;
    context.imageSmoothingEnabled = this.scale < 3;
    context.imageSmoothingQuality = "medium";
    this.place(context);
    context.drawImage(this.#bitmap, 0, 0);
  }

  /** Draw in the photo's pixels from here on. */
  place(context) {
    const ratio = devicePixelRatio;
    context.setTransform(this.scale * ratio, 0, 0, this.scale * ratio, this.x * ratio, this.y * ratio);
  }

  /** Draw in the stage's CSS pixels from here on. */
  unplace(context) {
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  }

  #cleared(canvas) {
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    return context;
  }

  #resize() {
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight].map((side) =>
      Math.round(side * devicePixelRatio),
    );
    for (const canvas of [this.#photo, this.#drawing]) Object.assign(canvas, { width, height });
    if (this.fitted) this.fit();
    else this.changed();
  }
}
