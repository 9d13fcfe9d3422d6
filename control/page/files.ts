/** The dashboard's files: the page, the built client, the style. @module */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { type Route, route } from "../http/route.ts";
import { page } from "./page.ts";

/** Routes of the page. They hold no secret, so they need no token. */
export function pageRoutes(): Route[] {
  const files = new Map<string, string>();
  const file = (name: string): string => {
    const known = files.get(name) ?? readFileSync(new URL(`./assets/${name}`, import.meta.url), "utf8");
    files.set(name, known);
    return known;
  };
  const asset = (path: string, summary: string, type: string, text: () => string): Route =>
    route({
      method: "get",
      path,
      summary,
      open: true,
      media: type,
      reply: z.string(),
      handle: ({ c }) =>
        c.body(text(), 200, { "content-type": `${type}; charset=utf-8`, "cache-control": "no-cache" }),
    });
  return [
    asset("/", "The dashboard", "text/html", page),
    asset("/assets/client.js", "The dashboard's client", "text/javascript", () => file("client.js")),
    asset("/assets/style.css", "The dashboard's style", "text/css", () => file("style.css")),
  ];
}
