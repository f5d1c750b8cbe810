// The keyboard map: one table for what keys do and for the page that explains them.

/** [keys as shown, what they do, command, test of the event]; the first row whose test holds counts. */
const plain =
  (...keys) =>
  (event) =>
    !event.ctrlKey && !event.metaKey && !event.altKey && keys.includes(event.key.toLowerCase());
const control = (key, shift) => (event) =>
  (event.ctrlKey || event.metaKey) && event.shiftKey === shift && event.key.toLowerCase() === key;
const any =
  (...tests) =>
  (event) =>
    tests.some((test) => test(event));
const shifted = (test, shift) => (event) => event.shiftKey === shift && test(event);

export const KEYS = [
  ["Enter or N", "Finish this object, begin the next", "finish", plain("enter", "n")],
  ["Esc", "Leave what you are doing", "escape", plain("escape")],
  ["Z or Ctrl+Z", "Undo", "undo", any(shifted(plain("z"), false), control("z", false))],
  ["Shift+Z or Ctrl+Shift+Z", "Redo", "redo", any(shifted(plain("z"), true), control("z", true), control("y", false))],
  ["Delete", "Remove this object", "remove", plain("delete", "backspace")],
  ["C", "Click tool", "click", plain("c")],
  ["B", "Box tool", "box", plain("b")],
  ["P", "Paint brush", "brush", plain("p")],
  ["E", "Everything: pick among all masks", "everything", plain("e")],
  ["X", "Switch between adding and removing", "sign", plain("x")],
  ["[ and ]", "Smaller and larger brush", "smaller", plain("[")],
  [null, "", "larger", plain("]")],
  ["H", "Live mask under the cursor on or off", "hover", plain("h")],
  ["+ and −", "Zoom in and out", "zoomIn", plain("+", "=")],
  [null, "", "zoomOut", plain("-", "_")],
  ["0", "Fit the photo", "fit", plain("0")],
  ["K", "Crosshair for the keyboard; arrows move it, Shift by one pixel", "crosshair", plain("k")],
  [". and ,", "At the crosshair: add, remove", "crossAdd", plain(".", ">")],
  [null, "", "crossRemove", plain(",", "<")],
  ["→ or Page Down", "Next photo of the folder", "next", plain("pagedown", "arrowright")],
  ["← or Page Up", "Photo before", "previous", plain("pageup", "arrowleft")],
  ["D", "This photo is done", "done", plain("d")],
  ["L", "Show how long the live mask takes", "latency", plain("l")],
  ["?", "This map", "help", plain("?")],
];

export const POINTER = [
  ["Click, tap", "Add to the object, or begin one"],
  ["Right or Shift+click, long press", "Remove from the object"],
  ["Alt+click", "Choose the object there"],
  ["Drag", "Box around the object"],
  ["Wheel, two fingers", "Zoom"],
  ["Space or middle button and drag, two fingers", "Move the photo"],
];

const isTyping = ({ target }) => target.matches?.("input:not([type=checkbox]):not([type=color]), textarea, select");
const PRESSES = ["Enter", " "]; // what a focused button takes for itself

/** Call `commands[name](event)` for keys; one that returns false leaves the key to the browser. */
export function listen(commands, arrows) {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || isTyping(event) || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("button, summary, a") && PRESSES.includes(event.key)) return;
    if (event.key.startsWith("Arrow") && arrows(event)) return event.preventDefault();
    const [, , command] = KEYS.find(([, , , test]) => test(event)) ?? [];
    if (command && commands[command](event) !== false) event.preventDefault();
    else if (event.key === " ") event.preventDefault();
  });
}

/** Rows of the help page. */
export function describe(list) {
  for (const [keys, text] of [...POINTER, ...KEYS]) {
    if (!keys) continue;
    const [row, term, meaning] = ["div", "dt", "dd"].map((name) => document.createElement(name));
    term.textContent = keys;
    meaning.textContent = text;
    row.append(term, meaning);
    list.append(row);
  }
}
