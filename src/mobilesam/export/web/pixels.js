// From a photo's pixels to the encoder's input, and from logits to a mask. The same arithmetic as the Python package.

export const MASK_STRIDE = 4;

/** How a photo of width x height lies in the model's square: its size there, each side's scale. */
export function letterbox(width, height, size) {
  const scale = size / Math.max(width, height);
  const [w, h] = [width, height].map((side) => Math.max(1, Math.floor(side * scale + 0.5)));
  return { width, height, size, w, h, scaleX: w / width, scaleY: h / height };
}

/** RGBA bytes of a photo as float32 (3, size, size): resized, normalised, zeros right of and below the photo. */
export function encoderInput(rgba, box, mean, std) {
  const resized = resize(rgba, box);
  const out = new Float32Array(3 * box.size * box.size);
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < box.h; y++) {
      for (let x = 0; x < box.w; x++) {
        out[(c * box.size + y) * box.size + x] = (resized[(y * box.w + x) * 3 + c] - mean[c]) / std[c];
      }
    }
  }
  return out;
}

/** The mask over the photo: a byte a pixel, 1 inside. `logits` are (side, side), the square's quarter. */
export function maskOverPhoto(logits, side, box) {
  const mask = new Uint8Array(box.width * box.height);
  const columns = taps(box.width, box.scaleX, side);
  const rows = taps(box.height, box.scaleY, side);
  for (let y = 0; y < box.height; y++) {
    const [top, bottom, down] = [rows.low[y] * side, rows.high[y] * side, rows.part[y]];
    for (let x = 0; x < box.width; x++) {
      const [left, right, across] = [columns.low[x], columns.high[x], columns.part[x]];
      const above = logits[top + left] * (1 - across) + logits[top + right] * across;
      const below = logits[bottom + left] * (1 - across) + logits[bottom + right] * across;
      mask[y * box.width + x] = above * (1 - down) + below * down > 0 ? 1 : 0;
    }
  }
  return mask;
}

/** For each pixel of a photo's side the two cells of the logits around it, and the second one's part. */
function taps(length, scale, side) {
  const low = new Int32Array(length), high = new Int32Array(length), part = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const at = Math.min(Math.max(((i + 0.5) * scale) / MASK_STRIDE - 0.5, 0), side - 1);
    low[i] = Math.floor(at);
    high[i] = Math.min(low[i] + 1, side - 1);
    part[i] = at - low[i];
  }
  return { low, high, part };
}

/** Antialiased bilinear, rows after columns, rounded to bytes after each: what Pillow does. RGBA in, RGB out. */
function resize(rgba, { width, height, w, h }) {
  const across = new Uint8ClampedArray(w * height * 3);
  weights(width, w).forEach(({ first, values }, x) => {
    for (let y = 0; y < height; y++) {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < values.length; k++) sum += values[k] * rgba[(y * width + first + k) * 4 + c];
        across[(y * w + x) * 3 + c] = sum;
      }
    }
  });
  const out = new Uint8ClampedArray(w * h * 3);
  weights(height, h).forEach(({ first, values }, y) => {
    for (let i = 0; i < w * 3; i++) {
      let sum = 0;
      for (let k = 0; k < values.length; k++) sum += values[k] * across[(first + k) * w * 3 + i];
      out[y * w * 3 + i] = sum;
    }
  });
  return out;
}

/** Of each new pixel the old ones under its triangle, and their weights. */
function weights(from, to) {
  const scale = from / to, reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(from, Math.trunc(centre + reach + 0.5));
    const values = Array.from({ length: last - first }, (_, k) =>
      Math.max(0, 1 - Math.abs((first + k - centre + 0.5) / reach)));
    const sum = values.reduce((a, b) => a + b, 0);
    return { first, values: values.map((value) => value / sum) };
  });
}
