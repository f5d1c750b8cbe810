// The list of objects: colour, name, size, hide, remove.

import { measure } from "./rle.js";
import { isWaiting } from "./state.js";

const number = new Intl.NumberFormat("en");

export class ObjectList {
  #rows = new Map();

  constructor({ list, names, template, dispatch }) {
    Object.assign(this, { list, names, template, dispatch });
  }

  draw({ objects, active }) {
    for (const [id, row] of this.#rows) if (!objects.some((object) => object.id === id)) this.#drop(id, row);
    for (const object of objects) this.#fill(this.#rows.get(object.id) ?? this.#add(object), object, active);
    objects.forEach((object, i) => {
      const { item } = this.#rows.get(object.id);
      if (this.list.children[i] !== item) this.list.insertBefore(item, this.list.children[i] ?? null);
    });
    this.#suggest(objects);
  }

  #add({ id }) {
    const item = this.template.content.firstElementChild.cloneNode(true);
    const [colour, name, area, hide, drop] = ["colour", "name", "area", "hide", "drop"].map((part) =>
      item.querySelector(`.${part}`),
    );
    const send = (type, more) => this.dispatch({ type, id, ...more });
    item.addEventListener("pointerdown", (event) => {
      if (!event.target.closest("button")) send("select");
    });
    item.addEventListener("focusin", (event) => {
      if (!event.target.closest("button")) send("select");
    });
    colour.addEventListener("change", () => send("recolour", { colour: colour.value }));
    name.addEventListener("change", () => send("rename", { name: name.value }));
    name.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") name.blur();
    });
    hide.addEventListener("click", () => send("hide"));
    drop.addEventListener("click", () => send("remove"));
    const row = { item, colour, name, area, hide, drop, rle: null };
    this.#rows.set(id, row);
    return row;
  }

  #fill(row, object, active) {
    const title = `${object.name} ${object.id}`;
    row.item.setAttribute("aria-current", object.id === active);
    row.item.dataset.id = object.id;
    row.item.classList.toggle("hidden", object.hidden);
    row.colour.value = object.colour;
    if (document.activeElement !== row.name) row.name.value = object.name;
    row.hide.setAttribute("aria-pressed", object.hidden);
    for (const [part, text] of [
      ["colour", "Colour"],
      ["name", "Name"],
      ["hide", "Hide"],
      ["drop", "Remove"],
    ]) {
      row[part].setAttribute(
        "aria-label",
        part === "colour" || part === "name" ? `${text} of ${title}` : `${text} ${title}`,
      );
    }
    if (isWaiting(object)) row.area.textContent = "…";
    else if (row.rle !== object.rle || row.area.textContent === "…") row.area.textContent = sizeOf(object.rle);
    row.rle = object.rle;
  }

  #drop(id, row) {
    if (row.item.contains(document.activeElement)) this.list.focus();
    row.item.remove();
    this.#rows.delete(id);
  }

  /** Names in use are offered for the next object. */
  #suggest(objects) {
    const names = [...new Set(objects.map((object) => object.name))];
    if (names.join("\n") === this.shown) return;
    this.shown = names.join("\n");
    this.names.replaceChildren(
      ...names.map((name) => Object.assign(document.createElement("option"), { value: name })),
    );
  }
}

function sizeOf(rle) {
  const area = rle ? measure(rle).area : 0;
  return area ? `${number.format(area)} px` : "empty";
}
