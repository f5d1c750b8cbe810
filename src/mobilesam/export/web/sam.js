// An exported encoder and decoder on onnxruntime-web or onnxruntime-node, in a browser or in Node.

import { encoderInput, letterbox, maskOverPhoto } from "./pixels.js";

const PADDING = -1, CORNERS = [2, 3];
const STABILITY_OFFSET = 1;

export class Sam {
  /**
   * `ort` is the imported runtime; `read(name)` gives the bytes of a file of the exported folder, or what else
   * InferenceSession.create takes (a path in Node).
   */
  static async load(ort, manifest, read, options = {}) {
    const sam = new Sam();
    sam.ort = ort;
    sam.manifest = manifest;
    sam.encoder = await ort.InferenceSession.create(await read("encoder.onnx"), options);
    sam.decoder = await ort.InferenceSession.create(await read("decoder.onnx"), options);
    return sam;
  }

  /** The embedding of a photo, to answer any number of prompts from: `rgba` has 4 bytes a pixel. */
  async embed(rgba, width, height) {
    const { img_size: size, normalise: { mean, std } } = this.manifest;
    const box = letterbox(width, height, size);
    const image = this.tensor(encoderInput(rgba, box, mean, std), [1, 3, size, size]);
    const { features } = await this.encoder.run({ image });
    return { features, box };
  }

  /**
   * The mask of one prompt: `points` are [x, y, label] in the photo's pixels, label 1 (object) or 0 (not this);
   * `bbox` [x1, y1, x2, y2] or null. For a lone click the most confident and stable of three masks, otherwise the
   * single-mask output. Gives { mask, iou, logits }: a byte a pixel, the model's own guess of its quality, and its
   * logits, which may be given back as `earlier`.
   */
  async predict({ features, box }, points, bbox = null, earlier = null) {
    const corners = bbox ? [[bbox[0], bbox[1], CORNERS[0]], [bbox[2], bbox[3], CORNERS[1]]] : [[0, 0, PADDING]];
    const tokens = [...points, ...corners];
    const side = box.size / 4;
    const coords = tokens.flatMap(([x, y, label]) => (label === PADDING ? [0, 0] : [x * box.scaleX, y * box.scaleY]));
    const { logits, iou } = await this.decoder.run({
      features: this.tensor(features.data.slice(), features.dims), // a worker takes what it is given away
      coords: this.tensor(Float32Array.from(coords), [1, tokens.length, 2]),
      labels: this.tensor(Float32Array.from(tokens, (token) => token[2]), [1, tokens.length]),
      mask: this.tensor(earlier?.slice() ?? new Float32Array(side * side), [1, 1, side, side]),
      has_mask: this.tensor(Float32Array.of(earlier ? 1 : 0), [1]),
    });
    const four = [0, 1, 2, 3].map((i) => logits.data.subarray(i * side * side, (i + 1) * side * side));
    const isLoneClick = points.length === 1 && !bbox;
    const chosen = isLoneClick ? likeliest(four, iou.data) : 0;
    return { mask: maskOverPhoto(four[chosen], side, box), iou: iou.data[chosen], logits: four[chosen].slice() };
  }

  tensor(data, shape) {
    return new this.ort.Tensor("float32", data, shape);
  }
}

/** Of the masks 1 to 3 the one with the highest predicted IoU times stability. */
function likeliest(four, iou) {
  const scores = [1, 2, 3].map((i) => iou[i] * stability(four[i]));
  return 1 + scores.indexOf(Math.max(...scores));
}

/** How much of a mask stays when the threshold of its logits rises from -1 to 1. */
function stability(logits) {
  let inside = 0, around = 0;
  for (const value of logits) {
    if (value > STABILITY_OFFSET) inside++;
    if (value > -STABILITY_OFFSET) around++;
  }
  return around ? inside / around : 0;
}
