// Asks the model for every mask that is waited for: one request an object at a time, always with its newest prompts.

import { isWaiting, promptKey } from "./state.js";

export class Answers {
  #asked = new Set();
  #failed = new Map();

  constructor({ state, dispatch, failed }) {
    Object.assign(this, { state, dispatch, failed, embedding: null });
  }

  /** Another photo: answers to the old one are dropped. */
  reset(embedding) {
    this.embedding = embedding;
    this.#asked = new Set();
    this.#failed.clear();
  }

  update() {
    for (const object of this.state().present.objects) {
      if (isWaiting(object) && !this.#asked.has(object.id) && this.#failed.get(object.id) !== promptKey(object))
        this.#ask(object);
    }
  }

  /** Ask again for what failed. */
  retry() {
    this.#failed.clear();
    this.update();
  }

  async #ask(object) {
    const { embedding } = this,
      asked = this.#asked,
      key = promptKey(object);
    asked.add(object.id);
    try {
      const { rle, iou } = await embedding.mask(promptOf(object));
      if (embedding === this.embedding) this.dispatch({ type: "answer", id: object.id, key, rle, iou });
    } catch (error) {
      this.#failed.set(object.id, key);
      if (embedding === this.embedding) this.failed(error);
    }
    asked.delete(object.id);
    if (embedding === this.embedding) this.update();
  }

  get isWaiting() {
    return this.state().present.objects.some(isWaiting);
  }
}

/** The server's form of an object's prompts. */
function promptOf({ points, box, base }) {
  const prompt = {};
  if (points.length)
    Object.assign(prompt, { points: points.map(([x, y]) => [x, y]), labels: points.map(([, , label]) => label) });
  if (box) prompt.box = box;
  if (base) prompt.mask = base;
  return prompt;
}
