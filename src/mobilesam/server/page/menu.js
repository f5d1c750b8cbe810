// The download menu.

import { blackAndWhite, copy, cutOut, png, save, stem, written, writtenFolder } from "./export.js";

const element = (id) => document.getElementById(id);

export class Menu {
  /** `app` has state(), session, answers, say(text), fail(error). */
  constructor(app) {
    this.app = app;
    this.details = element("download");
    for (const button of document.querySelectorAll("#formats button"))
      this.#on(button, () => this.#one(button.dataset.kind));
    for (const button of document.querySelectorAll("[data-folder]"))
      this.#on(button, () => this.#folder(button.dataset.folder));
    addEventListener("pointerdown", ({ target }) => {
      if (!this.details.contains(target)) this.details.open = false;
    });
  }

  #on(button, action) {
    button.addEventListener("click", () => {
      this.details.open = false;
      this.details.firstElementChild.focus();
      action().catch(this.app.fail);
    });
  }

  draw() {
    const { objects, active } = this.app.state().present;
    const [all, one] = element("scope").querySelectorAll("input");
    one.disabled = active === null;
    if (one.disabled) all.checked = true;
    for (const button of document.querySelectorAll("#formats button")) button.disabled = objects.length === 0;
    element("folder-formats").hidden = !this.app.session.queue.photos.length;
  }

  /** The objects that are meant, with their masks. */
  get #objects() {
    const { objects, active } = this.app.state().present;
    const one = element("scope").querySelector("[value=one]").checked;
    return objects.filter(({ id, rle }) => rle && (!one || id === active));
  }

  async #one(kind) {
    const { photo } = this.app.session;
    if (this.app.answers.isWaiting) throw new Error("A mask is still on its way; try again in a moment.");
    const objects = this.#objects,
      masks = objects.map(({ rle }) => rle);
    if (kind === "copy") {
      await copy(png(cutOut(photo.bitmap, masks, element("crop").checked)));
      return this.app.say("The cut-out is in the clipboard.");
    }
    save(await this.#file(kind, photo, objects, masks));
    this.app.say("Downloaded.");
  }

  async #file(kind, { bitmap, name, size }, objects, masks) {
    if (kind === "cutout")
      return { blob: await png(cutOut(bitmap, masks, element("crop").checked)), name: `${stem(name)}-cutout.png` };
    if (kind === "mask") return { blob: await png(blackAndWhite(bitmap, masks)), name: `${stem(name)}-mask.png` };
    return written(kind, name, size, objects);
  }

  async #folder(kind) {
    if (!(await this.app.session.saver.flush()))
      throw new Error("The newest work isn't saved in the folder yet; that comes first.");
    save(await writtenFolder(kind));
    this.app.say("Downloaded.");
  }
}
