// The mask under the cursor. One request at a time; the newest place wins; a mask stays until the next one is there.

import { readNpy, tint, tintSize } from "./logits.js";
import { canvasOf } from "./layers.js";

export class Hover {
  #wanted = null;
  #busy = false;
  #last = null;
  #turn = 0;

  /** `ask(point)` gives the bytes of the logits, `redraw(after)` draws and calls when it is on the screen. */
  constructor({ ask, redraw, failed, measured }) {
    Object.assign(this, { ask, redraw, failed, measured, picture: null, times: [] });
  }

  /** The cursor is at a pixel of a photo of size [H, W]; `since` is when, on the page's clock. */
  move(point, size, colour, since) {
    const key = point.map(Math.floor).join();
    if (key === this.#last) return;
    this.#last = key;
    this.#wanted = { point, size, colour, since };
    if (!this.#busy) this.#run();
  }

  off() {
    this.#wanted = null;
    this.#last = null;
    this.#turn++; // an answer on its way is for a place that the cursor has left
    if (this.picture) this.redraw();
    this.picture = null;
  }

  async #run() {
    this.#busy = true;
    while (this.#wanted) {
      const job = this.#wanted,
        turn = this.#turn;
      try {
        const { shape, data } = readNpy(await this.ask(job.point));
        if (turn === this.#turn) this.#show(job, data, shape.at(-1));
        if (this.#wanted === job) this.#wanted = null;
      } catch (error) {
        this.#wanted = null;
        this.failed(error);
      }
    }
    this.#busy = false;
  }

  #show({ size, colour, since }, logits, side) {
    const part = tint(logits, side, size, colour);
    const [height, width] = tintSize(size);
    this.picture = part && {
      canvas: canvasOf(part.image),
      x: part.x,
      y: part.y,
      across: size[1] / width,
      down: size[0] / height,
    };
    this.redraw(() => this.#measure(since));
  }

  #measure(since) {
    const { duration } = performance.measure("hover", { start: since, end: performance.now() });
    this.times = [...this.times.slice(-99), duration];
    this.measured(this.report());
  }

  /** The context is in the photo's pixels. */
  draw(context) {
    if (!this.picture) return;
    const { canvas, x, y, across, down } = this.picture;
    context.drawImage(canvas, x * across, y * down, canvas.width * across, canvas.height * down);
  }

  /** "hover 31 ms, median 28 of 100" */
  report() {
    const sorted = [...this.times].sort((a, b) => a - b);
    const [last, median] = [this.times.at(-1), sorted[sorted.length >> 1]].map(Math.round);
    return `hover ${last} ms, median ${median} of ${sorted.length}`;
  }
}
