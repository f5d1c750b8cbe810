// The folder that the server was started with: its photos one after another, each with its own saved state.

import { call } from "./api.js";
import * as store from "./store.js";
import { Saver } from "./saver.js";

const path = (kind, name) => `/app/queue/${kind}/${encodeURIComponent(name)}`;

export class Queue {
  #savers = new Map(); // by photo: one that still tries to save goes on when its photo is opened again

  /** `report` as for Saver. */
  constructor(report) {
    Object.assign(this, { report, folder: null, photos: [], current: null });
  }

  /** Ask which photos there are. */
  async load() {
    const { folder, photos } = await (await call("/app/queue")).json();
    Object.assign(this, { folder, photos });
    return photos.length > 0;
  }

  get index() {
    return this.photos.findIndex(({ name }) => name === this.current);
  }

  /** The name of the photo so many places further; null at the ends. */
  neighbour(step) {
    return this.photos[this.index + step]?.name ?? null;
  }

  key(name) {
    return `folder:${this.folder.id}:${name}`;
  }

  async photo(name) {
    return (await call(path("photos", name))).blob();
  }

  async saved(name) {
    return (await call(path("work", name))).json();
  }

  /** The work on a photo, this browser's where the folder hasn't got it yet, and its saver. */
  async open(name) {
    const busy = this.#savers.get(name);
    if (busy?.isDirty) return { work: busy.work, saver: busy };
    const [saved, draft] = await Promise.all([this.saved(name), store.read(this.key(name)).catch(() => null)]);
    const isNewer = Boolean(draft?.dirty);
    const saver = this.#saver(name, isNewer ? draft.revision : saved.revision);
    if (isNewer) saver.changed(workOf(draft));
    return { work: workOf(isNewer ? draft : saved), saver };
  }

  #saver(name, revision) {
    const put = async (work, based) => {
      const body = JSON.stringify({ ...work, revision: based });
      const response = await call(path("work", name), {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body,
      });
      this.note(name, work);
      return (await response.json()).revision;
    };
    const saver = new Saver({ key: this.key(name), revision, put, report: this.report });
    this.#savers.set(name, saver);
    return saver;
  }

  /** Send what a crash or a full disk has kept out of the folder. */
  async recover() {
    const prefix = this.key("");
    for (const key of await store.keys().catch(() => [])) {
      const name = String(key).slice(prefix.length);
      const isOurs = String(key).startsWith(prefix) && this.photos.some((photo) => photo.name === name);
      if (!isOurs || this.#savers.has(name)) continue;
      const draft = await store.read(key);
      if (!draft?.dirty) continue;
      const saver = this.#saver(name, draft.revision);
      saver.changed(workOf(draft));
      await saver.flush();
    }
  }

  /** What the list shows of a photo. */
  note(name, { objects, done }) {
    const photo = this.photos.find((one) => one.name === name);
    if (photo) Object.assign(photo, { objects: objects.length, done });
  }

  get done() {
    return this.photos.filter((photo) => photo.done).length;
  }
}

const workOf = ({ size, objects, done }) => ({ size, objects, done: Boolean(done) });
