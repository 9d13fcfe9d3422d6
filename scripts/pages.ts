/**
 * Writes the pages of docs/ that are generated from code; `--check` only compares.
 *
 * @module
 */
import { behavioursPage } from "./behaviours.ts";
import { dropsPage } from "./drops.ts";
import { errorsPage } from "./errors.ts";
import { page as statesPage } from "./states.ts";

/** Each generated page of docs/, by its file's name. */
export const PAGES: Readonly<Record<string, () => string>> = {
  "states.md": statesPage,
  "errors.md": errorsPage,
  "drops.md": dropsPage,
  "behaviours.md": behavioursPage,
};

/** Names of pages in docs/ that are not what the code says. */
export function stale(): string[] {
  return Object.entries(PAGES).filter(([name, page]) => {
    try {
      return Deno.readTextFileSync(new URL(`../docs/${name}`, import.meta.url)) !== page();
    } catch {
      return true;
    }
  }).map(([name]) => name);
}

if (import.meta.main) {
  const old = stale();
  if (Deno.args.includes("--check")) {
    if (old.length > 0) console.error(`not what the code says: ${old.join(", ")}; run deno task pages`);
    Deno.exit(old.length > 0 ? 1 : 0);
  }
  for (const name of old) {
    Deno.writeTextFileSync(new URL(`../docs/${name}`, import.meta.url), PAGES[name]!());
    console.log(`docs/${name}`);
  }
}
