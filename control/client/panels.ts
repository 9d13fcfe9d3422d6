/** Modules, captures and events, as lists. @module */
/// <reference lib="dom" />
import { call } from "./api.ts";
import { el } from "./dom.ts";
import type { Act, Model } from "./model.ts";
import { short } from "./model.ts";

/** A button with a name of its own. */
function button(label: string, of: string, act: Act, fn: () => Promise<unknown>): HTMLElement {
  const name = `${label} ${of}`;
  return el(
    "button",
    { type: "button", "data-key": name, "aria-label": name, onclick: () => void act(name, fn) },
    label,
  );
}

/** A row for each module. */
export function moduleRows({ modules }: Model, act: Act): HTMLElement[] {
  return modules.map((m) =>
    el(
      "li",
      {},
      el("strong", {}, m.name),
      el(
        "span",
        { class: "grow" },
        `${m.state === "loaded" ? "" : `${m.state}, `}${
          m.instances.length === 0 ? "not in use" : `in use by ${m.instances.join(", ")}`
        }`,
      ),
      button("Unload", `module ${m.name}`, act, () =>
        call("DELETE", `/api/module/${encodeURIComponent(m.name)}?mode=drain`)),
    )
  );
}

/** A row for each capture. */
export function captureRows({ captures }: Model, act: Act): HTMLElement[] {
  if (captures.length === 0) return [el("li", { class: "hint" }, "None: press Capture of an interface.")];
  return captures.map((c) => {
    const of = `capture ${c.id}`;
    const path = `/api/capture/${c.id}`;
    return el(
      "li",
      {},
      el("strong", {}, `${c.vnet}:${c.ifnet}`),
      el("span", { class: "grow" }, `${c.packets} packets, ${short(c.bytes)}B, ${c.ended ?? "running"}`),
      el("a", {
        href: `${path}/pcapng`,
        download: `${c.ifnet}-${c.id}.pcapng`,
        "aria-label": `Download ${of}`,
        "data-key": `Download ${of}`,
      }, "Download"),
      ...c.running ? [button("Stop", of, act, () => call("POST", `${path}/stop`))] : [],
      button("Delete", of, act, () => call("DELETE", path)),
    );
  });
}
