// What has been annotated, as a value, and how each action changes it; undo and redo are lists of such values.
//
// An object: {id, name, colour, hidden, points: [[x, y, label]], box, base, origin, strokes, answer: {key, rle, iou} | null,
// rle, iou}. `base` is a mask it began with and `origin` its number in everything mode; `answer` is the model's to the
// prompts with this key; `rle` is the mask as it is: the answer, or else the base, with the strokes over it.

import { painted } from "./strokes.js";

export const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];
export const NAME = "object";
const MOST_STEPS = 300;

export const nothing = (size = null) => fromObjects(size, []);

/** The state of a photo of this size [H, W] with these objects. */
export function fromObjects(size, objects) {
  const next = 1 + Math.max(0, ...objects.map((object) => object.id));
  return { past: [], present: { size, objects, active: null, next }, future: [] };
}

export const activeOf = ({ present }) => present.objects.find((object) => object.id === present.active) ?? null;
export const hasPrompts = (object) => object.points.length > 0 || object.box !== null;
export const promptKey = ({ points, box }) => JSON.stringify([points, box]);
export const isWaiting = (object) => hasPrompts(object) && object.answer?.key !== promptKey(object);

/** Actions that replace the present without becoming a step of their own. */
const QUIET = {
  select: (present, { id }) => ({ ...present, active: id }),
  finish: (present) => ({ ...present, active: null }),
};

const STEPS = {
  point: (present, { x, y, label }) =>
    onActive(present, (object) => ({ ...object, points: [...object.points, [x, y, label]] })),
  box: (present, { box, fresh }) =>
    onActive(fresh ? { ...present, active: null } : present, (object) => ({ ...object, box })),
  stroke: (present, { stroke }) => onActive(present, (object) => ({ ...object, strokes: [...object.strokes, stroke] })),
  pick: (present, { rle, iou, origin }) =>
    onActive({ ...present, active: null }, (object) => ({ ...object, base: rle, iou, origin })),
  rename: (present, { id, name }) => onOne(present, id, (object) => ({ ...object, name: name.trim() || NAME })),
  recolour: (present, { id, colour }) => onOne(present, id, (object) => ({ ...object, colour })),
  hide: (present, { id }) => onOne(present, id, (object) => ({ ...object, hidden: !object.hidden })),
  remove: (present, { id }) => ({
    ...present,
    objects: present.objects.filter((object) => object.id !== id),
    active: present.active === id ? null : present.active,
  }),
};

export function reduce(state, action) {
  if (action.type === "open") return fromObjects(action.size, action.objects);
  if (action.type === "undo") return undo(state);
  if (action.type === "redo") return redo(state);
  if (action.type === "answer") return answered(state, action);
  if (QUIET[action.type]) return { ...state, present: QUIET[action.type](state.present, action) };
  const present = STEPS[action.type](state.present, action);
  return { past: [...state.past.slice(-MOST_STEPS), state.present], present, future: [] };
}

function undo({ past, present, future }) {
  if (!past.length) return { past, present, future };
  return { past: past.slice(0, -1), present: past.at(-1), future: [present, ...future] };
}

function redo({ past, present, future }) {
  if (!future.length) return { past, present, future };
  return { past: [...past, present], present: future[0], future: future.slice(1) };
}

/** The model's answer goes to every version of the object that asked it: undo and redo find it there. */
function answered(state, { id, key, rle, iou }) {
  const fill = (present) => {
    const asks = (object) => object.id === id && isWaiting(object) && promptKey(object) === key;
    if (!present.objects.some(asks)) return present;
    const objects = present.objects.map((object) =>
      asks(object) ? settled({ ...object, answer: { key, rle, iou }, iou }, present.size) : object,
    );
    return { ...present, objects };
  };
  return { past: state.past.map(fill), present: fill(state.present), future: state.future.map(fill) };
}

function onActive(present, change) {
  if (present.objects.some((object) => object.id === present.active)) return onOne(present, present.active, change);
  const id = present.next;
  const begun = { ...present, objects: [...present.objects, fresh(id, present.objects)], active: id, next: id + 1 };
  return onOne(begun, id, change);
}

function onOne(present, id, change) {
  const objects = present.objects.map((object) => (object.id === id ? settled(change(object), present.size) : object));
  return { ...present, objects };
}

/** A new object is called as the last one: people often mark many of a kind. */
function fresh(id, others) {
  return {
    id,
    name: others.at(-1)?.name ?? NAME,
    colour: PALETTE[(id - 1) % PALETTE.length],
    hidden: false,
    points: [],
    box: null,
    base: null,
    origin: null,
    strokes: [],
    answer: null,
    rle: null,
    iou: null,
  };
}

/** While the answer is on its way the earlier mask stays. */
function settled(object, size) {
  if (isWaiting(object)) return object;
  const model = hasPrompts(object) ? object.answer.rle : object.base;
  return { ...object, rle: painted(model, object.strokes, size) };
}
