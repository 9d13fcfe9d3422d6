/** Vnets and their interfaces: dragged with a pointer, moved by menu with a keyboard. @module */
/// <reference lib="dom" />
import { call } from "./api.ts";
import { short } from "./chart.ts";
import { el } from "./dom.ts";

/** An interface, as far as it is shown. */
export interface Ifnet {
  readonly name: string;
  readonly handle: string;
  readonly vnet: string;
  readonly home: string;
  readonly driver: string;
  readonly state: string;
  readonly flags: string[];
  readonly mtu: number;
}

/** A vnet, as far as it is shown. */
export interface Vnet {
  readonly name: string;
  readonly state: string;
}

/** A module, as far as it is shown. */
export interface Module {
  readonly name: string;
  readonly state: string;
  readonly instances: string[];
}

/** Packets per second. */
export interface Rate {
  readonly in: number;
  readonly out: number;
}

type Act = (what: string, fn: () => Promise<unknown>) => Promise<void>;

/** One card for each vnet. */
export function topology(
  vnets: readonly Vnet[],
  ifnets: readonly Ifnet[],
  rates: ReadonlyMap<string, Rate>,
  act: Act,
): HTMLElement[] {
  const names = vnets.map((v) => v.name);
  return vnets.map((v) => {
    const inside = ifnets.filter((i) => i.vnet === v.name);
    const card = el(
      "div",
      {
        class: "vnet",
        role: "group",
        "aria-label": `vnet ${v.name}`,
        "data-vnet": v.name,
        ondragover: (e) => {
          e.preventDefault();
          card.classList.add("target");
        },
        ondragleave: () => card.classList.remove("target"),
        ondrop: (e) => {
          e.preventDefault();
          card.classList.remove("target");
          const handle = (e as DragEvent).dataTransfer?.getData("text/plain") ?? "";
          const dragged = ifnets.find((i) => i.handle === handle);
          if (dragged !== undefined && dragged.vnet !== v.name) void move(dragged, v.name, act);
        },
      },
      el("h3", {}, v.state === "live" ? v.name : `${v.name} (${v.state})`),
      ...inside.length > 0
        ? inside.map((i) => chip(i, names, rates, act))
        : [el("p", { class: "hint" }, "No interface.")],
    );
    return card;
  });
}

function chip(i: Ifnet, vnets: readonly string[], rates: ReadonlyMap<string, Rate>, act: Act): HTMLElement {
  const up = i.flags.includes("UP");
  const rate = rates.get(i.handle);
  const button = (label: string, method: string, tail: string): HTMLElement =>
    el("button", {
      type: "button",
      "data-key": `${label} ${i.vnet}:${i.name}`,
      "aria-label": `${label} ${i.name}`,
      onclick: () => void act(`${label.toLowerCase()} ${i.name}`, () => call(method, path(i) + tail)),
    }, label);
  const menu = el(
    "select",
    {
      "data-key": `move ${i.name}`,
      "aria-label": `Move ${i.name} to vnet`,
      onchange: (e) => void move(i, (e.target as HTMLSelectElement).value, act),
    },
    ...vnets.map((v) => el("option", { value: v, selected: v === i.vnet }, v)),
  );
  return el(
    "div",
    {
      class: "ifnet",
      draggable: "true",
      role: "group",
      "aria-label": `interface ${i.name}, ${up ? "up" : "down"}, ${i.state}`,
      "data-if": `${i.vnet}:${i.name}`,
      ondragstart: (e) => (e as DragEvent).dataTransfer?.setData("text/plain", i.handle),
    },
    el(
      "div",
      { class: "row" },
      el("span", { class: up ? "dot up" : "dot", "aria-hidden": "true" }),
      el("strong", {}, i.name),
      el(
        "span",
        {},
        `${i.driver}, ${up ? "up" : "down"}${i.state === "attached" ? "" : `, ${i.state}`}${
          i.home === i.vnet ? "" : `, lent by ${i.home}`
        }`,
      ),
      el(
        "span",
        { class: "rate", "data-rate": i.handle },
        rate === undefined ? "" : `in ${short(rate.in)}/s out ${short(rate.out)}/s`,
      ),
    ),
    el(
      "div",
      { class: "row" },
      up ? button("Down", "POST", "/down") : button("Up", "POST", "/up"),
      button("Detach", "POST", "/detach"),
      button("Destroy", "DELETE", ""),
      menu,
    ),
  );
}

function move(i: Ifnet, vnet: string, act: Act): Promise<void> {
  return act(`move ${i.name} to ${vnet}`, () => call("POST", `${path(i)}/vmove`, { vnet }));
}

function path(i: Ifnet): string {
  return `/api/if/${encodeURIComponent(i.handle)}`;
}
