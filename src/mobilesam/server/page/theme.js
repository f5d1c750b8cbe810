// Dark or light: what the system says, until the switch is used.

const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;

export function start(button) {
  const apply = () => {
    const chosen = localStorage.getItem("theme");
    root.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
    button.setAttribute("aria-pressed", root.dataset.theme === "dark");
  };
  button.addEventListener("click", () => {
    localStorage.setItem("theme", root.dataset.theme === "dark" ? "light" : "dark");
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
