/**
 * The dashboard's page: what is there before anything is known. The client fills it in.
 *
 * Calls of hono/jsx instead of its syntax: `deno pack` ships that as it stands, which Node cannot read.
 *
 * @module
 */
import { type Child, jsx } from "hono/jsx";

type Attributes = Readonly<Record<string, string | number>>;

function h(tag: string, attributes: Attributes = {}, ...children: Child[]): Child {
  return jsx(tag, attributes, ...children);
}

/** A part of the page under its heading. */
function panel(id: string, title: string, ...children: Child[]): Child {
  return h(
    "section",
    { "aria-labelledby": `${id}-title`, class: `panel ${id}` },
    h("h2", { id: `${id}-title` }, title),
    ...children,
  );
}

function chart(id: string, label: string): Child {
  return h("div", { id, class: "chart", role: "img", "aria-label": label });
}

function stat(id: string, label: string): Child {
  return h("div", { class: "stat" }, h("dt", {}, label), h("dd", { id }, "–"));
}

/** The page. */
export function page(): string {
  const head = h(
    "head",
    {},
    h("meta", { charset: "utf-8" }),
    h("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    h("meta", { name: "color-scheme", content: "light dark" }),
    h("title", {}, "softc"),
    h("link", { rel: "icon", href: "data:," }),
    h("link", { rel: "stylesheet", href: "/assets/style.css" }),
    h("script", { type: "module", src: "/assets/client.js" }),
  );
  const header = h(
    "header",
    {},
    h("h1", {}, "softc"),
    h("p", { id: "status", role: "status" }, "connecting"),
    h(
      "dl",
      { "aria-label": "The system now" },
      stat("total-out", "sent"),
      stat("total-drops", "dropped"),
      stat("unaccounted", "unaccounted"),
      stat("grace-periods", "grace periods"),
      stat("callbacks", "callbacks"),
      stat("cpus", "CPUs"),
    ),
    h("p", { id: "done", role: "status", class: "hint" }),
    h("button", {
      id: "theme",
      type: "button",
      "aria-label": "Theme",
      title: "light, dark, or the system's",
    }),
  );
  const columns = ["what", "how", "packets", "meaning"].map((c) => h("th", { scope: "col" }, c));
  const body = h(
    "body",
    {},
    header,
    h("div", { id: "alert", role: "alert" }),
    h(
      "main",
      {},
      panel(
        "topology",
        "Vnets and interfaces",
        h(
          "p",
          { class: "hint" },
          "Drag an interface to another vnet to move it, or use the menu at its end.",
        ),
        h(
          "div",
          { id: "stage" },
          h("div", { id: "vnets" }),
          h("svg", { id: "wires", "aria-hidden": "true" }),
        ),
        h(
          "div",
          { id: "tray", hidden: "" },
          h("h3", {}, "Unplugged"),
          h("ul", { id: "unplugged", class: "rows" }),
        ),
      ),
      panel("rates", "Packets per second", chart("rates-chart", "Packets per second")),
      panel("queues", "Packets in queues", chart("queues-chart", "Packets in queues")),
      panel("drops", "Drops per second", chart("drops-chart", "Drops per second")),
      panel(
        "epoch",
        "Epoch",
        h("div", { id: "timeline", role: "img", "aria-label": "Epoch over the last two minutes" }),
        h("ul", { id: "blame", "aria-label": "Who holds what" }),
      ),
      panel(
        "ledger",
        "Ledger",
        h("table", {}, h("thead", {}, h("tr", {}, ...columns)), h("tbody", { id: "ledger-rows" })),
        h("p", { id: "ledger-sum" }),
      ),
      panel("log", "Events", h("ol", { id: "events", role: "log", tabindex: 0, "aria-label": "Events" })),
      panel("modules", "Modules", h("ul", { id: "module-list", class: "rows" })),
      panel("captures", "Captures", h("ul", { id: "capture-list", class: "rows" })),
    ),
  );
  return `<!doctype html>${String(h("html", { lang: "en" }, head, body))}`;
}
