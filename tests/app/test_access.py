"""For those who see little, use no mouse, or have the page read to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from browser_app import App, Desk

pytestmark = pytest.mark.browser
NAMED = ("button", "checkbox", "radio", "textbox", "combobox", "slider", "application", "link", "DisclosureTriangle")
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!(own || node.matches("input[type=text]")) || !node.checkVisibility() || node.closest(":disabled")) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), node.outerHTML.slice(0, 80)]);
  }
  return found;
}"""
FOCUS = """() => {
  const node = document.activeElement, shown = node.matches("input[type=file]") ? node.parentElement : node;
  const name = node.id || node.dataset.mode || node.className || node.textContent.trim();
  return [name, getComputedStyle(shown).outlineStyle];
}"""


def open_photo(desk: Desk, photos: dict[str, Path]) -> None:
    desk.open(photos["coffee"])
    desk.click(300, 200)
    desk.answered(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(context: Any, running: App, photos: dict[str, Path], scheme: str) -> None:
    desk = Desk(context(color_scheme=scheme).new_page())
    desk.goto(running.address)
    assert desk.page.locator("html").get_attribute("data-theme") == scheme
    views = [lambda: None, lambda: open_photo(desk, photos), lambda: desk.page.click("#download summary")]
    for view in (*views, lambda: desk.press("Escape", "?")):
        view()
        measured = desk.page.evaluate(CONTRAST)
        assert len(measured) > 5
        assert [entry for entry in measured if entry[0] < 4.5] == []
    desk.press("Escape")
    desk.page.click("#theme")
    assert desk.page.locator("html").get_attribute("data-theme") != scheme


def test_everything_that_can_be_used_has_a_name(desk: Desk, photos: dict[str, Path]) -> None:
    open_photo(desk, photos)
    desk.page.click("#download summary")
    tree = desk.page.context.new_cdp_session(desk.page).send("Accessibility.getFullAXTree")["nodes"]
    used = [node for node in tree if not node["ignored"] and node["role"]["value"] in NAMED]
    assert len(used) > 25
    assert [node for node in used if not node.get("name", {}).get("value", "").strip()] == []
    assert desk.page.locator("#status").get_attribute("aria-live") == "polite"


def test_the_focus_goes_from_top_to_bottom_and_is_seen(desk: Desk, photos: dict[str, Path]) -> None:
    open_photo(desk, photos)
    desk.page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(30):
        desk.press("Tab")
        seen.append(desk.page.evaluate(FOCUS))
    names = [name for name, _ in seen]
    order = ["file", "button primary", "theme", "help", "click", "box", "brush", "everything", "sign", "sign", "undo"]
    order += ["zoom-in", "zoom-out", "fit", "stage", "new", "colour", "name", "hide icon", "drop icon"]
    start = names.index("file")
    assert names[start : start + len(order)] == order
    assert {style for _, style in seen[start : start + len(order)]} <= {"solid", "auto"}


def test_motion_is_left_out_where_it_is_not_wanted(context: Any, running: App) -> None:
    desk = Desk(context(reduced_motion="reduce").new_page())
    desk.goto(running.address)
    assert desk.page.evaluate("getComputedStyle(document.getElementById('help')).transitionDuration") == "0s"
