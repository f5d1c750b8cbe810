// The folder's photos: a bar with arrows, and a list in the panel.

const element = (id) => document.getElementById(id);

export class PhotoList {
  #buttons = new Map();

  /** `app` has session and fail(error). */
  constructor(app) {
    this.app = app;
  }

  draw() {
    const { queue, done } = this.app.session;
    const { photos, index } = queue;
    element("queue").hidden = element("photos-part").hidden = !photos.length;
    if (!photos.length) return;
    element("place").textContent = index < 0 ? `${photos.length} photos` : `${index + 1} / ${photos.length}`;
    element("previous").disabled = index <= 0;
    element("next").disabled = index < 0 || index === photos.length - 1;
    Object.assign(element("done"), { checked: index >= 0 && done, disabled: index < 0 });
    element("progress").textContent = `${queue.done} of ${photos.length} done`;
    for (const photo of photos)
      this.#fill(this.#buttons.get(photo.name) ?? this.#add(photo), photo, photo.name === queue.current);
  }

  #add({ name }) {
    const item = document.createElement("li"),
      button = document.createElement("button");
    const [label, count] = [document.createElement("span"), document.createElement("span")];
    label.textContent = name;
    count.className = "area";
    button.append(label, count);
    button.title = name;
    button.addEventListener("click", () => this.app.session.openQueued(name).catch(this.app.fail));
    item.append(button);
    element("photos").append(item);
    this.#buttons.set(name, button);
    return button;
  }

  #fill(button, { objects, done }, isCurrent) {
    const was = button.getAttribute("aria-current") === "true";
    button.setAttribute("aria-current", isCurrent);
    button.lastElementChild.textContent = done ? `done, ${objects}` : objects || "";
    if (isCurrent && !was) button.scrollIntoView({ block: "nearest" });
  }
}
