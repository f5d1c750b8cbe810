// Masks as pictures: each object's in its colour, kept until the mask or the colour changes.

import { measure, spans } from "./rle.js";
import { outline } from "./logits.js";

const MOST_PIXELS = 4e6; // of one picture; larger masks are drawn from every second, third, ... pixel
const FILL = 110,
  SOLID = 255;
const CHOSEN = "#ffffff"; // the outline of the object that clicks go to

export class Layers {
  #kept = new Map();

  /** Draw the objects; the context is in the photo's pixels. */
  draw(context, objects, active) {
    for (const id of this.#kept.keys()) if (!objects.some((object) => object.id === id)) this.#kept.delete(id);
    for (const object of objects) {
      if (object.hidden || !object.rle) continue;
      const picture = this.#picture(object, object.id === active ? CHOSEN : object.colour);
      if (!picture) continue;
      context.globalAlpha = object.id === active || active === null ? 1 : 0.7;
      context.drawImage(picture.canvas, picture.x, picture.y, picture.width, picture.height);
    }
    context.globalAlpha = 1;
  }

  #picture({ id, rle, colour }, edge) {
    const kept = this.#kept.get(id);
    if (kept && kept.rle === rle && kept.colour === colour && kept.edge === edge) return kept.picture;
    const picture = pictureOf(rle, colour, edge);
    this.#kept.set(id, { rle, colour, edge, picture });
    return picture;
  }
}

/** {canvas, x, y, width, height} of a mask in a colour, the last four in the photo's pixels; null where it is empty. */
export function pictureOf(rle, colour, edge = colour) {
  const { box } = measure(rle);
  if (!box) return null;
  const [x1, y1, x2, y2] = box;
  const step = Math.ceil(Math.sqrt(((x2 - x1) * (y2 - y1)) / MOST_PIXELS));
  const [width, height] = [Math.ceil((x2 - x1) / step), Math.ceil((y2 - y1) / step)];
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const tinted = packed(colour, FILL);
  for (const [x, top, bottom] of spans(rle)) {
    if ((x - x1) % step) continue;
    const column = (x - x1) / step;
    for (let y = Math.ceil((top - y1) / step); y1 + y * step < bottom; y++) pixels[y * width + column] = tinted;
  }
  const reach = Math.max(1, Math.round(Math.max(...rle.size) / step / 900));
  outline(pixels, width, height, packed(edge, SOLID), reach);
  return { canvas: canvasOf(image), x: x1, y: y1, width: width * step, height: height * step };
}

export function canvasOf(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** [red, green, blue] of "#rrggbb". */
export function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

/** A colour as one 32-bit pixel of ImageData. */
export function packed(colour, alpha) {
  const [red, green, blue] = rgb(colour);
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
