/** Vnets and their interfaces: dragged with a pointer, moved by menu with a keyboard. @module */
/// <reference lib="dom" />
import { call } from "./api.ts";
import { el } from "./dom.ts";
import { type Act, colourOf, type Ifnet, type Model, nameOf, type Rate, short } from "./model.ts";

/** Whether an interface hangs on the pointer: the page is not filled anew under it. */
export const drag = { active: false };

/** One card for each vnet. */
export function topology(
  { vnets, ifnets, links }: Model,
  rates: ReadonlyMap<string, Rate>,
  act: Act,
): HTMLElement[] {
  const names = vnets.map((v) => v.name);
  // What the wires show, for those who do not see them.
  const peers = new Map(links.flatMap(({ name, ends: [a, b] }): [string, string][] => {
    const [x, y] = [`${a!.vnet}:${name}a`, `${b!.vnet}:${name}b`];
    return [[x, y], [y, x]];
  }));
  return vnets.map((v) => {
    const inside = ifnets.filter((i) => i.vnet === v.name);
    const card = el(
      "div",
      {
        class: inside.length > 0 ? "vnet" : "vnet empty",
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
      el(
        "div",
        { class: "vnet-head" },
        el("h3", {}, v.state === "live" ? v.name : `${v.name} (${v.state})`),
        ...inside.length === 0 ? [] : ["in/s", "out/s", "queue", "drops/s"].map((t) => el("span", {}, t)),
      ),
      ...inside.length > 0
        ? inside.map((i) => row(i, names, peers.get(nameOf(i)), rates, act))
        : [el("p", { class: "hint" }, "empty: drop an interface here")],
    );
    return card;
  });
}

function row(
  i: Ifnet,
  vnets: readonly string[],
  peer: string | undefined,
  rates: ReadonlyMap<string, Rate>,
  act: Act,
): HTMLElement {
  const up = i.flags.includes("UP");
  const name = nameOf(i);
  const button = (label: string, why: string, fn: () => Promise<unknown>): HTMLElement =>
    el("button", {
      type: "button",
      title: why,
      "data-key": `${label} ${name}`,
      "aria-label": `${label} ${name}`,
      onclick: () => void act(`${label} ${name}`, fn),
    }, label);
  const dot = el("span", { class: up ? "dot up" : "dot", "aria-hidden": "true" });
  dot.style.setProperty("--line-colour", colourOf(name));
  const home = i.home === i.vnet ? "" : `, from ${i.home}`;
  const where = i.queues === 0 ? "" : `, CPU ${i.cpu}`;
  return el(
    "div",
    {
      class: up ? "ifnet" : "ifnet down",
      draggable: "true",
      role: "group",
      "aria-label": `interface ${name}, ${i.driver}, ${up ? "up" : "down"}, ${i.state}${
        peer === undefined ? "" : `, wired to ${peer}`
      }`,
      "data-if": name,
      "data-handle": i.handle,
      ondragstart: (e) => {
        drag.active = true;
        (e as DragEvent).dataTransfer?.setData("text/plain", i.handle);
      },
      ondragend: () => drag.active = false,
    },
    el(
      "div",
      { class: "who" },
      dot,
      el("strong", {}, i.name),
      el(
        "span",
        {
          class: "what",
          title: `${i.handle}, MTU ${i.mtu}, ${i.queues === 0 ? "sends on every CPU" : `${i.queues} queues`}`,
        },
        `${i.driver}${where}${home}${up ? "" : ", down"}${i.state === "attached" ? "" : `, ${i.state}`}`,
      ),
    ),
    ...cells(rates.get(i.handle)).map((c, n) => el("span", { class: `cell ${CELLS[n]}` }, c)),
    el(
      "div",
      { class: "actions" },
      up
        ? button("Down", "clear UP", () => call("POST", `${path(i)}/down`))
        : button("Up", "set UP", () => call("POST", `${path(i)}/up`)),
      button("Unplug", "pull it out: nobody can refuse", () => call("POST", `${path(i)}/unplug`)),
      button(
        "Capture",
        "1000 packets or 60 s, as pcapng",
        () => call("POST", "/api/capture", { ifnet: i.handle, count: 1000, seconds: 60 }),
      ),
      button("Destroy", "destroy all that its create made", () => call("DELETE", path(i))),
      el(
        "select",
        {
          title: "move to another vnet (vmove)",
          "data-key": `move ${i.name}`,
          "aria-label": `Move ${name} to vnet`,
          onchange: (e) => void move(i, (e.target as HTMLSelectElement).value, act),
        },
        ...vnets.map((v) =>
          el("option", { value: v, selected: v === i.vnet }, v === i.vnet ? `in ${v}` : `to ${v}`)
        ),
      ),
    ),
  );
}

const CELLS = ["in", "out", "queued", "drops"] as const;

/** What the cells of a row say. */
function cells(r: Rate | undefined): string[] {
  return r === undefined ? ["", "", "", ""] : CELLS.map((c) => r[c] === 0 ? "·" : short(r[c]));
}

/** Puts new rates into the rows that are there. */
export function updateRates(rates: ReadonlyMap<string, Rate>): void {
  for (const e of document.querySelectorAll<HTMLElement>(".ifnet")) {
    const texts = cells(rates.get(e.dataset.handle!));
    e.querySelectorAll(".cell").forEach((cell, n) => cell.textContent = texts[n]!);
  }
}

/** What was pulled out, with a way back. */
export function tray({ pulled }: Model, act: Act): HTMLElement[] {
  return pulled.map((p) =>
    el(
      "li",
      {},
      el("span", {}, p.what),
      p.replug
        ? el("button", {
          type: "button",
          "data-key": `Replug ${p.name}`,
          "aria-label": `Replug ${p.name}`,
          title: "plug it back in: as it was, its traffic too",
          onclick: () =>
            void act(
              `Replug ${p.name}`,
              () => call("POST", `/api/unplugged/${encodeURIComponent(p.name)}/replug`),
            ),
        }, "Replug")
        : el("span", { class: "hint" }, "who plugged it in must bring it back"),
    )
  );
}

function move(i: Ifnet, vnet: string, act: Act): Promise<void> {
  return act(`Move ${nameOf(i)} to ${vnet}`, () => call("POST", `${path(i)}/vmove`, { vnet }));
}

function path(i: Ifnet): string {
  return `/api/if/${encodeURIComponent(i.handle)}`;
}
