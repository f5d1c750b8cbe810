// All masks of the photo at once; hovering and picking need no server.

import { Lookup, spans } from "./rle.js";
import { tintSize } from "./logits.js";
import { canvasOf, packed, pictureOf } from "./layers.js";

const EDGE = 0xffffffff,
  FILL = 110;

export class Everything {
  #masks = [];
  #map = null;
  #over = -1;
  #picture = null;
  #order = [];

  /** `app` has view, state(), dispatch(action). */
  constructor(app) {
    Object.assign(this, { app, isRunning: false });
  }

  get count() {
    return this.#masks.length;
  }

  clear() {
    Object.assign(this, { isRunning: false });
    [this.#masks, this.#map, this.#over, this.#picture, this.#order] = [[], null, -1, null, []];
  }

  /** Find the masks of a photo of size [H, W]; false where another photo was opened in the meantime. */
  async run(embedding, size, progress, isCurrent) {
    this.isRunning = true;
    try {
      const masks = await embedding.everything({ quality: "fast" }, progress);
      if (!isCurrent()) return false;
      this.#masks = masks.map((mask) => ({ rle: mask.rle ?? mask.segmentation, iou: mask.iou ?? mask.predicted_iou }));
      for (const mask of this.#masks) mask.lookup = new Lookup(mask.rle);
      this.#order = this.#masks
        .map((_, i) => i)
        .sort((a, b) => this.#masks[a].lookup.area - this.#masks[b].lookup.area);
      this.#map = mapOf(
        this.#order.toReversed().map((i) => [i, this.#masks[i].rle]),
        size,
      );
      return true;
    } finally {
      if (isCurrent()) this.isRunning = false;
    }
  }

  /** The number of the smallest mask at a place of the photo, -1 for none. */
  at([x, y]) {
    return this.#order.find((i) => this.#masks[i].lookup.has(Math.floor(x), Math.floor(y))) ?? -1;
  }

  hover(point) {
    const over = point ? this.at(point) : -1;
    if (over === this.#over) return;
    this.#over = over;
    this.#picture = over < 0 ? null : pictureOf(this.#masks[over].rle, "#ffffff");
    this.app.view.redraw();
  }

  /** The mask there becomes an object; one that is an object already is removed. */
  pick(point) {
    const origin = this.at(point);
    if (origin < 0) return;
    const { rle, iou } = this.#masks[origin];
    const taken = this.app
      .state()
      .present.objects.find((object) => object.origin === origin && object.base?.counts === rle.counts);
    this.app.dispatch(taken ? { type: "remove", id: taken.id } : { type: "pick", rle, iou, origin });
  }

  /** All masks; the context is in the photo's pixels. */
  draw(context) {
    if (this.#map) context.drawImage(this.#map, 0, 0, this.app.view.width, this.app.view.height);
  }

  /** The one under the cursor. */
  drawOver(context) {
    if (this.#picture)
      context.drawImage(this.#picture.canvas, ...["x", "y", "width", "height"].map((key) => this.#picture[key]));
  }
}

/** A picture of masks [number, rle], later ones over earlier ones. */
function mapOf(masks, size) {
  const [height, width] = tintSize(size);
  const ids = new Uint16Array(width * height);
  for (const [number, rle] of masks) {
    for (const [x, top, bottom] of spans(rle)) {
      const column = Math.floor((x * width) / size[1]);
      const last = Math.floor(((bottom - 1) * height) / size[0]);
      for (let y = Math.floor((top * height) / size[0]); y <= last; y++) ids[y * width + column] = number + 1;
    }
  }
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  ids.forEach((id, at) => {
    const isEdge = ((at + 1) % width && id !== ids[at + 1]) || (at + width < ids.length && id !== ids[at + width]);
    if (isEdge) pixels[at] = EDGE;
    else if (id) pixels[at] = colourOf(id);
  });
  return canvasOf(image);
}

/** Hues a golden ratio apart. */
function colourOf(id) {
  const hue = (id * 0.618034) % 1;
  const channel = (shift) =>
    Math.round(255 * (0.25 + 0.75 * Math.min(1, Math.max(0, Math.abs(((hue + shift) % 1) * 6 - 3) - 1))));
  const hex = [0, 2 / 3, 1 / 3].map((shift) => channel(shift).toString(16).padStart(2, "0")).join("");
  return packed(`#${hex}`, FILL);
}
