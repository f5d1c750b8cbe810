// The page's state: what actions do, that undo takes back any of them, that answers reach every version that asked.

import assert from "node:assert/strict";
import test from "node:test";

const state = await import("../../src/mobilesam/server/page/state.js");
const { pack, unpack } = await import("../../src/mobilesam/server/page/work.js");
const { activeOf, isWaiting, nothing, promptKey, reduce } = state;
const SIZE = [2, 3],
  FULL = { size: SIZE, counts: "06" },
  EMPTY = { size: SIZE, counts: "6" };
const run = (...actions) => actions.reduce(reduce, nothing(SIZE));
const point = (x = 1, label = 1) => ({ type: "point", x, y: 1, label });
const answer = (before, rle = FULL) =>
  reduce(before, {
    type: "answer",
    id: activeOf(before).id,
    key: promptKey(activeOf(before)),
    rle,
    iou: 0.5,
  });

test("clicks go to one object until it is finished", () => {
  const { present } = run(point(1), point(2, 0), { type: "finish" }, point(0));
  assert.deepEqual(
    present.objects.map(({ id, points }) => [id, points]),
    [
      [
        1,
        [
          [1, 1, 1],
          [2, 1, 0],
        ],
      ],
      [2, [[0, 1, 1]]],
    ],
  );
  assert.equal(present.active, 2);
});

test("undo takes back any step, and redo brings it back", () => {
  const rename = { type: "rename", id: 1, name: " cup " },
    recolour = { type: "recolour", id: 1, colour: "#123456" };
  const actions = [
    point(),
    point(2, 0),
    { type: "box", box: [0, 0, 2, 2] },
    rename,
    recolour,
    { type: "hide", id: 1 },
    { type: "stroke", stroke: { add: true, radius: 1, path: [[1, 1]] } },
    { type: "pick", rle: FULL, iou: 0.9, origin: 4 },
    { type: "remove", id: 1 },
  ];
  const states = [nothing(SIZE)];
  for (const action of actions) states.push(reduce(states.at(-1), action));
  let now = states.at(-1);
  for (const before of states.slice(0, -1).reverse())
    assert.deepEqual((now = reduce(now, { type: "undo" })).present, before.present);
  assert.deepEqual(reduce(now, { type: "undo" }), now);
  for (const after of states.slice(1)) assert.deepEqual((now = reduce(now, { type: "redo" })).present, after.present);
  assert.equal(states[4].present.objects[0].name, "cup");
});

test("a new step forgets what was undone", () => {
  const { future } = run(point(), { type: "undo" }, point(2));
  assert.deepEqual(future, []);
});

test("the mask waits for the answer to the newest prompts, and keeps the one before until then", () => {
  const first = answer(run(point()));
  assert.equal(activeOf(first).rle, FULL);
  const second = reduce(first, point(2));
  assert.ok(isWaiting(activeOf(second)));
  assert.equal(activeOf(second).rle, FULL);
  const late = reduce(second, { type: "answer", id: 1, key: promptKey(activeOf(first)), rle: EMPTY, iou: 0 });
  assert.deepEqual(late.present, second.present);
  assert.equal(activeOf(answer(second, EMPTY)).rle, EMPTY);
});

test("an answer that comes after undo is there on redo", () => {
  const asked = run(point(), point(2));
  const key = promptKey(activeOf(asked));
  const late = reduce(reduce(asked, { type: "undo" }), { type: "answer", id: 1, key, rle: FULL, iou: 0.5 });
  assert.ok(isWaiting(activeOf(late)));
  assert.equal(activeOf(reduce(late, { type: "redo" })).rle, FULL);
});

test("strokes lie over every answer", () => {
  const dot = { type: "stroke", stroke: { add: true, radius: 0.5, path: [[0.5, 0.5]] } };
  const done = answer(reduce(answer(run(point())), dot), FULL);
  assert.deepEqual(activeOf(answer(reduce(reduce(done, point(2)), dot), EMPTY)).rle, { size: SIZE, counts: "015" });
});

test("boxes of the box tool begin objects of their own", () => {
  const box = { type: "box", box: [0, 0, 1, 1], fresh: true };
  assert.equal(run(box, box).present.objects.length, 2);
});

test("removing, hiding and naming touch one object", () => {
  const two = run(point(), { type: "finish" }, point(2));
  const { present } = reduce(two, { type: "remove", id: 1 });
  assert.deepEqual(
    present.objects.map(({ id }) => id),
    [2],
  );
  assert.equal(present.active, 2);
  assert.equal(reduce(two, { type: "rename", id: 2, name: "  " }).present.objects[1].name, "object");
});

test("saved work comes back as it was", () => {
  const { present } = answer(
    reduce(run({ type: "pick", rle: FULL, iou: 0.9, origin: 4 }, { type: "finish" }), point()),
  );
  assert.deepEqual(unpack(JSON.parse(JSON.stringify(pack(present.objects)))), present.objects);
  assert.equal(pack(present.objects)[0].base, true);
});
