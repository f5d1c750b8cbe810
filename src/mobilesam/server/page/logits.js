// Low-resolution logits of the decoder -> a tinted picture of the mask, for the screen. Exact masks come as run lengths.

const MASK_STRIDE = 4;
const MOST = 1024; // pixels of the picture's longer side: what the model sees

/** The array in a .npy file of float32: {shape, data}. */
export function readNpy(buffer) {
  const view = new DataView(buffer);
  const wide = view.getUint8(6) > 1;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = (wide ? 12 : 10) + length;
  const header = new TextDecoder().decode(new Uint8Array(buffer, wide ? 12 : 10, length));
  if (!header.includes("'<f4'") || header.includes("'fortran_order': True"))
    throw new Error(`Not plain float32: ${header}`);
  const shape = header
    .match(/'shape': \(([^)]*)\)/)[1]
    .split(",")
    .filter((part) => part.trim())
    .map(Number);
  return { shape, data: new Float32Array(buffer.slice(start)) };
}

/** Size of the picture that `tint` makes of a photo of size [H, W]. */
export function tintSize([height, width]) {
  const scale = Math.min(1, MOST / Math.max(height, width));
  return [Math.max(1, Math.round(height * scale)), Math.max(1, Math.round(width * scale))];
}

/** A part of the picture: {x, y, image} where logits (side x side) are above 0, in the colour; null where none are. */
export function tint(logits, side, size, [red, green, blue]) {
  const [height, width] = tintSize(size);
  const rows = taps(size[0], height, size, side),
    columns = taps(size[1], width, size, side);
  const [top, bottom, left, right] = windowOf(logits, side, rows, columns);
  if (bottom <= top || right <= left) return null;
  const image = new ImageData(right - left, bottom - top);
  const pixels = new Uint32Array(image.data.buffer);
  const colour = ((112 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  for (let y = top, at = 0; y < bottom; y++) {
    const [above, below, down] = [rows.low[y] * side, rows.high[y] * side, rows.part[y]];
    for (let x = left; x < right; x++, at++) {
      const [near, far, across] = [columns.low[x], columns.high[x], columns.part[x]];
      const upper = logits[above + near] * (1 - across) + logits[above + far] * across;
      const lower = logits[below + near] * (1 - across) + logits[below + far] * across;
      if (upper * (1 - down) + lower * down > 0) pixels[at] = colour;
    }
  }
  outline(pixels, right - left, bottom - top, (colour | 0xff000000) >>> 0);
  return { x: left, y: top, image };
}

/** Inner edges in another colour. */
export function outline(pixels, width, height, colour, reach = 1) {
  const edges = [];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (!pixels[at]) continue;
      const isEdge =
        x < reach ||
        y < reach ||
        x >= width - reach ||
        y >= height - reach ||
        !pixels[at - reach] ||
        !pixels[at + reach] ||
        !pixels[at - reach * width] ||
        !pixels[at + reach * width];
      if (isEdge) edges.push(at);
    }
  }
  for (const at of edges) pixels[at] = colour;
}

/** For each pixel of a side the two cells around it, and the second one's share. */
function taps(from, pixels, size, side) {
  const model = side * MASK_STRIDE;
  const inModel = Math.max(1, Math.floor((from * model) / Math.max(...size) + 0.5));
  const [low, high, part] = [new Int32Array(pixels), new Int32Array(pixels), new Float32Array(pixels)];
  for (let i = 0; i < pixels; i++) {
    const at = Math.min(Math.max((((i + 0.5) / pixels) * inModel) / MASK_STRIDE - 0.5, 0), side - 1);
    low[i] = Math.floor(at);
    high[i] = Math.min(low[i] + 1, side - 1);
    part[i] = at - low[i];
  }
  return { low, high, part };
}

/** Top, bottom, left and right of the pixels that have a cell above 0 beside them: no others can be inside. */
function windowOf(logits, side, rows, columns) {
  let [top, bottom, left, right] = [side, -1, side, -1];
  for (let y = 0, at = 0; y < side; y++) {
    for (let x = 0; x < side; x++, at++) {
      if (logits[at] <= 0) continue;
      if (y < top) top = y;
      bottom = y;
      if (x < left) left = x;
      if (x > right) right = x;
    }
  }
  const first = ({ high }, cell) => {
    const i = high.findIndex((value) => value >= cell);
    return i < 0 ? high.length : i;
  };
  const after = ({ low }, cell) => {
    const i = low.findIndex((value) => value > cell);
    return i < 0 ? low.length : i;
  };
  return [first(rows, top), after(rows, bottom), first(columns, left), after(columns, right)];
}
