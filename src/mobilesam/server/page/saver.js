// Keeps the work on one photo: at once in this browser, and soon after in the folder where there is one.

import * as store from "./store.js";

const SOON = 300,
  FIRST_RETRY = 2000,
  LAST_RETRY = 30000; // milliseconds

export class Saver {
  #timer = 0;
  #wait = FIRST_RETRY;
  #sending = null;
  #work = null;
  #writing = Promise.resolve();

  /** `put(work, revision)` saves in the folder and gives the new revision; without it the browser is all there is.
   * `report(saver, problem)` is told of a problem, and with null that it is gone. */
  constructor({ key, revision = 0, put = null, report }) {
    Object.assign(this, { key, revision, put, report, isDirty: false, problem: null });
  }

  get work() {
    return this.#work;
  }

  /** Newer work: {size, objects, done}. */
  changed(work) {
    this.#work = work;
    this.isDirty = Boolean(this.put);
    this.#draft();
    if (this.put && !this.problem) this.#later(SOON);
  }

  #draft() {
    const draft = { ...this.#work, revision: this.revision, dirty: this.isDirty };
    this.#writing = store.write(this.key, draft).then(
      () => {
        if (!this.put) this.#tell(null);
      },
      (error) => {
        if (!this.put) this.#tell({ message: `This browser can't keep the work (${error?.message ?? error}).` });
      },
    );
  }

  #later(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), milliseconds);
  }

  /** Save what isn't saved; true where all is. */
  async flush() {
    clearTimeout(this.#timer);
    await this.#writing;
    if (this.#sending) await this.#sending;
    if (!this.isDirty) return true;
    this.#sending = this.#send();
    await this.#sending;
    this.#sending = null;
    return !this.isDirty;
  }

  async #send() {
    const work = this.#work;
    try {
      this.revision = await this.put(work, this.revision);
      this.isDirty = work !== this.#work;
      this.#wait = FIRST_RETRY;
      this.#draft();
      this.#tell(null);
      if (this.isDirty) this.#later(SOON);
    } catch (error) {
      this.#tell(error);
      if (error.status === 409) return; // somebody must decide
      this.#later(this.#wait);
      this.#wait = Math.min(2 * this.#wait, LAST_RETRY);
    }
  }

  /** After a conflict: this work counts, on top of the folder's revision. */
  overrule(revision) {
    this.revision = revision;
    return this.flush();
  }

  /** This work no longer counts. */
  async drop() {
    clearTimeout(this.#timer);
    this.isDirty = false;
    await this.#writing;
    await store.remove(this.key);
    this.#tell(null);
  }

  #tell(problem) {
    if (problem === this.problem) return;
    this.problem = problem;
    this.report(this, problem);
  }
}
