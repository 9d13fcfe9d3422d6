/** Elements, made in one call. @module */
/// <reference lib="dom" />

/** Attributes (false leaves one out) and listeners (`on...`). */
type Attributes = Readonly<Record<string, string | boolean | ((e: Event) => void)>>;

/** Makes an element: attributes, listeners, children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for a part of a drawing. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill<E extends Element>(e: E, attributes: Attributes, children: readonly (Node | string)[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") e.addEventListener(name.slice(2), value);
    else if (value === true) e.setAttribute(name, "");
    else if (value !== false) e.setAttribute(name, value);
  }
  e.append(...children);
  return e;
}

/** The element of that id. */
export function byId(id: string): HTMLElement {
  return document.getElementById(id)!;
}

/**
 * Replaces what is inside, keeping the focus on the element of the same `data-key`. One that is away for a
 * while (an interface that moves) gets it back when it comes, unless the focus went elsewhere.
 */
export function refill(parent: HTMLElement, ...children: Node[]): void {
  const active = document.activeElement;
  const lost = active === document.body || active === null;
  const key = parent.contains(active)
    ? (active as HTMLElement).dataset.key
    : lost
    ? parent.dataset.focus
    : undefined;
  parent.replaceChildren(...children);
  if (key === undefined) delete parent.dataset.focus;
  else {
    parent.dataset.focus = key;
    parent.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }
}
