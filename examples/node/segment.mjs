// A click on a photo in Node, with the files of `mobilesam export --format web -o page/`:
//
//     npm install && node segment.mjs page/ photo.png 300,200 mask.png
//
// The model runs in WebAssembly. onnxruntime-node takes the same three lines and is about four times faster.

import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import * as ort from "onnxruntime-web";
import { PNG } from "pngjs";

const [folder, photo, point, target] = process.argv.slice(2);
if (!target) {
  console.error("usage: node segment.mjs FOLDER PHOTO.png X,Y MASK.png");
  process.exit(2);
}
const { Sam } = await import(pathToFileURL(resolve(folder, "sam.js")));
const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8"));
const sam = await Sam.load(ort, manifest, (name) => readFile(join(folder, name)), { executionProviders: ["wasm"] });

const { data, width, height } = PNG.sync.read(await readFile(photo));
const embedding = await sam.embed(data, width, height); // once a photo: the slow part
const [x, y] = point.split(",").map(Number);
const { mask, iou } = await sam.predict(embedding, [[x, y, 1]]);

const picture = new PNG({ width, height });
mask.forEach((inside, i) => picture.data.set([255 * inside, 255 * inside, 255 * inside, 255], 4 * i));
await writeFile(target, PNG.sync.write(picture));
console.log(JSON.stringify({ iou, pixels: mask.reduce((a, b) => a + b, 0) }));
process.exit(0); // the runtime's workers would keep the process
