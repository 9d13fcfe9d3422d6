/** Every program of docs/errors.md is run, and gets its code. */
import { assert, assertEquals } from "@std/assert";
import type { Code } from "../../core/error.ts";
import * as pcap from "../../drivers/pcap/mod.ts";
import * as softc from "../../mod.ts";
import { ERROR_EXAMPLES } from "../../scripts/error_examples.ts";
import * as vnet from "../../vnet/mod.ts";
import { assertNoLeaks, poll } from "../helpers/leaks.ts";

const AsyncFunction = (async () => {}).constructor as new (...source: string[]) => (
  ...values: unknown[]
) => Promise<unknown>;

/** Codes of an error, of what caused it, and of those that its message names. */
function codes(e: unknown): string[] {
  if (!(e instanceof Error)) return [String(e)];
  const here = [...String(e.message).matchAll(/SOFTC_[A-Z_]+/g)].map((m) => m[0]);
  return [...(here.length > 0 ? here : [e.message]), ...(e.cause === undefined ? [] : codes(e.cause))];
}

/** Runs a program in a kernel of its own; what it threw, and the faults that it brought about. */
async function outcome(folder: string, driver: string | undefined, run: string): Promise<string[]> {
  const faults: unknown[] = [];
  let thrown: unknown;
  await assertNoLeaks(async (watch) => {
    const kernel = watch(
      await softc.boot({ debug: true, hookDeadline: 300, onFault: (e) => void faults.push(e) }),
    );
    await kernel.modules.load("softc:null");
    await kernel.modules.load("softc:epair");
    const [nic] = await softc.ifCloneCreate(kernel.vnet0, "null");
    await nic.up();
    const file = `${folder}/${crypto.randomUUID()}.ts`;
    const api = new URL("../../core/device/mod.ts", import.meta.url);
    Deno.writeTextFileSync(file, `import { struct } from "${api}";\nexport default ${driver ?? "{}"};\n`);
    const send = (i: softc.Ifnet): number =>
      i.vnet.section((s) => softc.ifOutput(s, softc.ifnetByHandle(s, i.handle)!, softc.mAlloc(s, 1, 60)));
    const { default: _driver, ...files } = pcap;
    const scope = { ...softc, ...vnet, ...files, kernel, vnet0: kernel.vnet0, nic, send, driver: file };
    try {
      await new AsyncFunction(...Object.keys(scope), `"use strict";\n${run}`)(...Object.values(scope));
      await poll(() => faults.length > 0, 1000);
    } catch (e) {
      thrown = e;
    }
    await kernel.shutdown({ deadline: 1000 });
  });
  return [...codes(thrown), ...faults.flatMap(codes)];
}

Deno.test("every program on the page of error codes gets its code", async (t) => {
  const folder = Deno.makeTempDirSync({ prefix: "softc-errors-" });
  let ran = 0;
  try {
    for (const [code, x] of Object.entries(ERROR_EXAMPLES)) {
      if (x.run === undefined || x.untried !== undefined) continue;
      ran++;
      await t.step(code, async () => {
        const got = await outcome(folder, x.driver, x.run!);
        assert(got.includes(code as Code), `${code} from:\n${x.run}\ngot ${got.join(", ") || "nothing"}`);
      });
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
  assert(ran >= 50, `${ran} programs`);
});

Deno.test("a code without a program says why", () => {
  const bare = Object.entries(ERROR_EXAMPLES).filter(([, x]) =>
    x.run === undefined && x.untried === undefined
  );
  assertEquals(bare.map(([code]) => code), []);
});
