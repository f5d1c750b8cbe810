// Brush strokes {add, radius, path: [[x, y], ...]} over a mask; all in the photo's pixels.

import { decode, encode } from "./rle.js";

/** The run lengths of a mask (null: an empty one) after some strokes. */
export function painted(rle, strokes, size) {
  if (!strokes.length) return rle;
  const mask = rle ? decode(rle) : new Uint8Array(size[0] * size[1]);
  for (const stroke of strokes) paint(mask, size, stroke);
  return encode(mask, size);
}

function paint(mask, size, { add, radius, path }) {
  path.forEach((to, i) => capsule(mask, size, path[Math.max(0, i - 1)], to, radius, add ? 1 : 0));
}

/** Set the pixels whose centres lie within `radius` of the line from a to b. */
function capsule(mask, [height, width], a, b, radius, value) {
  const [x1, x2] = span(a[0], b[0], radius, width);
  const [y1, y2] = span(a[1], b[1], radius, height);
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const length = dx * dx + dy * dy;
  for (let x = x1; x < x2; x++) {
    for (let y = y1; y < y2; y++) {
      const [px, py] = [x + 0.5 - a[0], y + 0.5 - a[1]];
      const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
      if (Math.hypot(px - along * dx, py - along * dy) <= radius) mask[x * height + y] = value;
    }
  }
}

function span(a, b, radius, limit) {
  return [Math.max(0, Math.floor(Math.min(a, b) - radius)), Math.min(limit, Math.ceil(Math.max(a, b) + radius))];
}
