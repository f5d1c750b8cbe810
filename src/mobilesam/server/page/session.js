// Which photo is open, and where its work is kept: the browser's storage, and the folder for photos of the queue.

import { Embedding } from "./api.js";
import { converted, decode, fingerprint } from "./picture.js";
import { Queue } from "./queue.js";
import { Saver } from "./saver.js";
import * as store from "./store.js";
import { pack, unpack } from "./work.js";

const LAST = "last"; // the key of the photo that a reload opens again

export class Session {
  #turn = 0;

  /** `shown(photo, objects)` puts a photo on the screen: {name, bitmap, size, embedding}; `report` is as for Saver. */
  constructor({ shown, say, report }) {
    Object.assign(this, { shown, say, report, photo: null, saver: null, done: false });
    this.queue = new Queue(report);
  }

  /** The folder's first photo that isn't done, or what was open in this browser before. */
  async start() {
    if (await this.queue.load()) {
      const remembered = this.queue.photos.find(({ name }) => name === sessionStorage.getItem(LAST));
      const first = remembered ?? this.queue.photos.find(({ done }) => !done) ?? this.queue.photos[0];
      await this.openQueued(first.name);
      return this.queue.recover();
    }
    const last = await store.read(LAST).catch(() => null);
    if (last) await this.openFile(last.blob, last.name);
  }

  /** A picture from anywhere; work on the same bytes is there again. */
  async openFile(blob, name) {
    const turn = await this.#leave(name);
    const photo = await this.#photo(blob, name);
    const key = `picture:${await fingerprint(blob)}`;
    const work = await store.read(key).catch(() => null);
    if (turn !== this.#turn) return;
    this.queue.current = null;
    this.saver = new Saver({ key, report: this.report });
    store
      .write(LAST, { blob, name })
      .catch((error) => this.say(`A reload won't bring this picture back: ${error.message}`));
    this.#show(photo, work);
  }

  async openQueued(name) {
    const turn = await this.#leave(name);
    const blob = await this.queue.photo(name);
    const [photo, { work, saver }] = await Promise.all([this.#photo(blob, name), this.queue.open(name)]);
    if (turn !== this.#turn) return;
    this.queue.current = name;
    sessionStorage.setItem(LAST, name);
    this.saver = saver;
    this.#show(photo, work);
  }

  async #leave(name) {
    const turn = ++this.#turn;
    this.say(`Opening ${name} …`);
    await this.saver?.flush();
    return turn;
  }

  /** Pixels from the browser, or the server's where the two see different sizes (turned or damaged files). */
  async #photo(blob, name) {
    const embedding = new Embedding(blob);
    const [shown, { size }] = await Promise.all([decode(blob), embedding.made()]);
    const agrees = size[0] === shown.height && size[1] === shown.width;
    return { name, bitmap: agrees ? shown : await converted(blob), size, embedding };
  }

  #show(photo, work) {
    const fits = work?.objects?.length && work.size?.join() === photo.size.join();
    this.photo?.embedding.free();
    this.photo = photo;
    this.done = Boolean(work?.done);
    this.shown(photo, fits ? unpack(work.objects) : []);
  }

  /** The work as it is now. */
  keep(objects) {
    if (!this.photo) return;
    const work = { size: this.photo.size, objects: pack(objects), done: this.done };
    if (this.queue.current) this.queue.note(this.queue.current, work);
    this.saver.changed(work);
  }

  /** After a conflict: what the folder has counts. */
  async takeSaved() {
    await this.saver.drop();
    await this.openQueued(this.queue.current);
  }

  /** After a conflict: what is on the screen counts. */
  async keepMine() {
    const { revision } = await this.queue.saved(this.queue.current);
    await this.saver.overrule(revision);
  }
}
