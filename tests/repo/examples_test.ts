import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { entries, files, isShipped, read, ROOT } from "./tree.ts";

/** Exported functions, classes and drivers without an example, by reason. */
const WITHOUT: Readonly<Record<string, readonly string[]>> = {
  "errors: whoever meets one has not made it": ["ConformanceError", "SysError", "UsbError"],
  "given, not made: by the thread's context, by the device": ["Arena", "Sanitizer", "Shared"],
  "one step of a scenario's thread each: defineScenario shows two of them at work": [
    "add",
    "cas",
    "exchange",
    "get",
    "load",
    "notify",
    "set",
    "store",
    "until",
    "wait",
  ],
  "a module for the explorer to load: driverScenarios shows it": ["testing/driver_scenario.ts"],
  "the other side of what has one: Virtqueue, BlockWriter, parseConfiguration show them": [
    "DeviceQueue",
    "findFunction",
    "readBlock",
  ],
};

interface Declaration {
  readonly kind: string;
  readonly jsDoc?: { readonly doc?: string; readonly tags?: readonly { readonly kind: string }[] };
}

/** `deno doc --json`, as far as it is looked at. */
interface Docs {
  readonly nodes: Record<
    string,
    { readonly symbols?: readonly { readonly name: string; readonly declarations: readonly Declaration[] }[] }
  >;
}

async function docs(paths: readonly string[]): Promise<Docs> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", ...paths],
    cwd: fileURLToPath(ROOT),
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (code !== 0) throw new Error(`deno doc: ${err}`);
  return JSON.parse(out!);
}

/** Names of what should show its use and does not; drivers are `default` exports, named by their file. */
function withoutExample({ nodes }: Docs, root: string): string[] {
  const found = new Set<string>();
  for (const [url, { symbols = [] }] of Object.entries(nodes)) {
    for (const { name, declarations } of symbols) {
      const uses = declarations.filter(({ kind }) =>
        kind === "function" || kind === "class" || (name === "default" && kind === "variable")
      );
      const shown = uses.some(({ jsDoc }) =>
        jsDoc?.doc?.includes("```ts") === true || jsDoc?.tags?.some((t) => t.kind === "example") === true
      );
      if (uses.length > 0 && !shown) found.add(name === "default" ? url.slice(root.length) : name);
    }
  }
  return [...found].sort();
}

Deno.test("every exported function, class and driver has an example, or a reason for none", async () => {
  const paths = [...new Set(Object.values(entries()))];
  assertEquals(withoutExample(await docs(paths), ROOT.href), Object.values(WITHOUT).flat().sort());
});

Deno.test("what has no example is found", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "softc-examples-" });
  try {
    const file = `${folder}/a.ts`;
    const shown = "/** Shown.\n * @example\n * ```ts\n * f();\n * ```\n */\n";
    Deno.writeTextFileSync(
      file,
      `${shown}export function f(): void {}
/** Bare. */ export function g(): void {}
export class H {}
export const i = 1;
/** A driver. */ const d = {};
export default d;`,
    );
    assertEquals(withoutExample(await docs([file]), `file://${folder}/`), ["H", "a.ts", "g"]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("no example is ignored: deno task test:doc checks the types of each", () => {
  const ignored = files().filter(isShipped).filter((path) => /^\s*\* ```\w+ ignore/m.test(read(path)));
  assertEquals(ignored, []);
});
