// COCO's run lengths: {size: [H, W], counts: string}. Masks are bytes, 1 inside, down the columns: index x * H + y.

const BASE = 48,
  BITS = 5,
  MORE = 32,
  LAST_SIGN = 16;

/** The plain run lengths of a compressed string; the first run is of zeros. */
export function expand(text) {
  const counts = [];
  for (let at = 0; at < text.length;) {
    let value = 0,
      shift = 0,
      part;
    do {
      part = text.charCodeAt(at++) - BASE;
      value += (part & 31) * 2 ** shift;
      shift += BITS;
    } while (part & MORE);
    if (part & LAST_SIGN) value -= 2 ** shift;
    counts.push(counts.length > 2 ? value + counts.at(-2) : value);
  }
  return counts;
}

/** The compressed string of plain run lengths. */
export function compress(counts) {
  let text = "";
  counts.forEach((count, i) => {
    let value = i > 2 ? count - counts[i - 2] : count;
    for (let more = true; more;) {
      let part = value & 31;
      value >>= BITS;
      more = part & LAST_SIGN ? value !== -1 : value !== 0;
      if (more) part |= MORE;
      text += String.fromCharCode(part + BASE);
    }
  });
  return text;
}

/** The mask of run lengths. */
export function decode({ size: [height, width], counts }) {
  const mask = new Uint8Array(height * width);
  for (const [start, end] of runs(counts)) mask.fill(1, start, end);
  return mask;
}

/** The run lengths of a mask. */
export function encode(mask, [height, width]) {
  const counts = [];
  for (let at = 0, value = 0; at < mask.length; value = 1 - value) {
    const found = mask.indexOf(1 - value, at);
    const end = found < 0 ? mask.length : found;
    counts.push(end - at);
    at = end;
  }
  return { size: [height, width], counts: compress(counts) };
}

/** [start, end) of each run of ones. */
export function* runs(counts) {
  let at = 0,
    inside = false;
  for (const count of expand(counts)) {
    if (inside && count) yield [at, at + count];
    at += count;
    inside = !inside;
  }
}

/** [x, y1, y2) of each run's part in each column. */
export function* spans({ size: [height], counts }) {
  for (let [start, end] of runs(counts)) {
    while (start < end) {
      const x = Math.floor(start / height);
      const stop = Math.min(end, (x + 1) * height);
      yield [x, start - x * height, stop - x * height];
      start = stop;
    }
  }
}

/** The mask's box [x1, y1, x2, y2], the last two exclusive, and its pixels; box null where it is empty. */
export function measure({ size: [height], counts }) {
  let [x1, y1, x2, y2, area] = [Infinity, Infinity, -1, -1, 0];
  for (const [start, end] of runs(counts)) {
    const [first, last] = [Math.floor(start / height), Math.floor((end - 1) / height)];
    area += end - start;
    x1 = Math.min(x1, first);
    x2 = Math.max(x2, last);
    y1 = first === last ? Math.min(y1, start % height) : 0;
    y2 = first === last ? Math.max(y2, (end - 1) % height) : height - 1;
  }
  return { box: area ? [x1, y1, x2 + 1, y2 + 1] : null, area };
}

/** A mask that can be asked for single pixels without being unpacked. */
export class Lookup {
  constructor(rle) {
    this.height = rle.size[0];
    this.edges = Float64Array.from([...runs(rle.counts)].flat());
    Object.assign(this, measure(rle));
  }

  has(x, y) {
    if (!this.box || x < this.box[0] || y < this.box[1] || x >= this.box[2] || y >= this.box[3]) return false;
    const place = x * this.height + y;
    let [low, high] = [0, this.edges.length]; // how many edges are at or before the place
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.edges[middle] <= place) low = middle + 1;
      else high = middle;
    }
    return low % 2 === 1;
  }
}
