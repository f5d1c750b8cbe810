// Downloads and the clipboard. Pictures are made here; the other formats by the server, as Python writes them.

import { asJson, call } from "./api.js";
import { spans } from "./rle.js";

/** A PNG with the photo inside the masks and nothing outside, as a canvas. */
export function cutOut(bitmap, masks, crop) {
  return composed(bitmap, masks, crop, (context, stencil) => {
    context.drawImage(bitmap, 0, 0);
    context.globalCompositeOperation = "destination-in";
    context.drawImage(stencil, 0, 0);
  });
}

/** White inside the masks, black outside. */
export function blackAndWhite(bitmap, masks) {
  return composed(bitmap, masks, false, (context, stencil) => {
    context.fillStyle = "#000";
    context.fillRect(0, 0, bitmap.width, bitmap.height);
    context.drawImage(stencil, 0, 0);
  });
}

function composed({ width, height }, masks, crop, draw) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  let [x1, y1, x2, y2] = [width, height, 0, 0];
  for (const rle of masks) {
    for (const [x, top, bottom] of spans(rle)) {
      [x1, y1, x2, y2] = [Math.min(x1, x), Math.min(y1, top), Math.max(x2, x + 1), Math.max(y2, bottom)];
      for (let y = top; y < bottom; y++) pixels[y * width + x] = 0xffffffff;
    }
  }
  const stencil = new OffscreenCanvas(width, height);
  stencil.getContext("2d").putImageData(image, 0, 0);
  const canvas = new OffscreenCanvas(width, height);
  draw(canvas.getContext("2d"), stencil);
  if (!crop || x2 <= x1) return canvas;
  const cropped = new OffscreenCanvas(x2 - x1, y2 - y1);
  cropped.getContext("2d").drawImage(canvas, -x1, -y1);
  return cropped;
}

export const png = (canvas) => canvas.convertToBlob({ type: "image/png" });

/** A file of the server's making: {blob, name}. */
export async function written(kind, name, size, objects) {
  const body = { kind, photo: name, size, objects: objects.map((object) => ({ name: object.name, rle: object.rle })) };
  return fileOf(await call("/app/export", asJson(body)));
}

export async function writtenFolder(kind) {
  return fileOf(await call(`/app/queue/export/${kind}`));
}

async function fileOf(response) {
  const name = /filename\*=UTF-8''([^;]+)/.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
  return { blob: await response.blob(), name: name ? decodeURIComponent(name) : "annotations" };
}

export function save({ blob, name }) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A picture into the clipboard; the promise is handed over as some browsers want the call in the click itself. */
export function copy(blob) {
  return navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
}

export const stem = (name) => name.replace(/\.[^.]*$/, "") || "photo";
