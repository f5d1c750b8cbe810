// The page's run lengths beside pycocotools': cases come from tests/app/test_modules.py as JSON on stdin.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const { compress, decode, encode, expand, Lookup, measure } = await import("../../src/mobilesam/server/page/rle.js");
const { painted } = await import("../../src/mobilesam/server/page/strokes.js");
const cases = JSON.parse(readFileSync(process.env.CASES));

test("masks and run lengths go into each other", () => {
  for (const { rle, mask, area, box } of cases) {
    assert.deepEqual([...decode(rle)], mask);
    assert.deepEqual(encode(Uint8Array.from(mask), rle.size), rle);
    assert.equal(compress(expand(rle.counts)), rle.counts);
    assert.deepEqual(measure(rle), { box, area });
  }
});

test("single pixels are found without unpacking", () => {
  for (const { rle, mask } of cases) {
    const [height, width] = rle.size,
      lookup = new Lookup(rle);
    for (let x = 0; x < width; x++)
      for (let y = 0; y < height; y++) assert.equal(lookup.has(x, y), mask[x * height + y] === 1);
    assert.equal(lookup.has(-1, 0), false);
    assert.equal(lookup.has(width, 0), false);
    assert.equal(lookup.has(0, height), false);
  }
});

test("a stroke sets the pixels whose centres it covers", () => {
  const size = [9, 12];
  const dot = decode(painted(null, [{ add: true, radius: 2, path: [[6, 4]] }], size));
  for (let x = 0; x < 12; x++)
    for (let y = 0; y < 9; y++) {
      assert.equal(dot[x * 9 + y], Math.hypot(x + 0.5 - 6, y + 0.5 - 4) <= 2 ? 1 : 0);
    }
  const strokes = [
    {
      add: true,
      radius: 2,
      path: [
        [1, 4],
        [11, 4],
      ],
    },
    { add: false, radius: 20, path: [[6, 4]] },
  ];
  assert.deepEqual([...decode(painted(null, strokes, size))], new Array(108).fill(0));
  assert.equal(painted(null, [], size), null);
});
