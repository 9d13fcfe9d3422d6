/** Light, dark, or as the system has it. @module */
/// <reference lib="dom" />

const THEMES = ["auto", "light", "dark"] as const;
type Theme = typeof THEMES[number];

/** Makes a button of `button` that goes round the themes; `changed` is called when colours are others. */
export function startTheme(button: HTMLElement, changed: () => void): void {
  const root = document.documentElement;
  const set = (theme: Theme): void => {
    root.dataset.theme = theme;
    button.textContent = theme;
    button.setAttribute("aria-label", `Theme: ${theme}`);
    changed();
  };
  const kept = localStorage.getItem("theme") as Theme | null;
  set(kept !== null && THEMES.includes(kept) ? kept : "auto");
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme as Theme) + 1) % THEMES.length]!;
    localStorage.setItem("theme", next);
    set(next);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
