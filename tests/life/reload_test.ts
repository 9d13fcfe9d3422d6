/** Reload: a module takes another's place, and its interfaces go on where the old ones were. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { discard, ifCloneCreate, type IfHint, type Ifnet, isSoftcError, type Kernel } from "../../mod.ts";
import { driverCounters, frames, send, until, untilAsync, withCleanKernel } from "../core/kit.ts";

/** The text of a driver that counts what it sends under `label`; `extra` is added to its object. */
function driver(label: string, extra = ""): string {
  const api = new URL("../../core/device/mod.ts", import.meta.url);
  return `import { defineDriver } from "${api}";
import { name } from "./name.ts";
export default defineDriver({
  name: "again",
  api: 1,
  cloner: "again",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return dev;
  },
  transmit(dev, batch) {
    dev.count("${label}." + name, batch.length);
    return batch.freeAll();
  },
  ${extra}
});
`;
}

const hintOf = (i: Ifnet): IfHint => ({ index: i.index, name: i.name, totals: i.counters });

/** A folder with a driver in two files; `write` changes them. */
async function withDriver(
  body: (k: Kernel, file: string, write: (text: string, name?: string) => void) => Promise<void>,
): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "softc-reload-" });
  const write = (text: string, name = "one"): void => {
    Deno.writeTextFileSync(`${folder}/name.ts`, `export const name = "${name}";\n`);
    Deno.writeTextFileSync(`${folder}/again.ts`, text);
  };
  try {
    await withCleanKernel({}, ({ k }) => body(k, `${folder}/again.ts`, write));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

for (const host of [undefined, {}]) {
  const where = host === undefined ? "on a CPU" : "in a host";
  const o = host === undefined ? {} : { host };

  Deno.test(`a reload ${where} runs the new code, and index, name and counters go on`, () =>
    withDriver(async (k, file, write) => {
      write(driver("first"));
      discard(k.vnet0);
      const old = await k.modules.load(file, o);
      const [one] = await ifCloneCreate(k.vnet0, "again");
      await one.up();
      send(k.vnet0, one, frames(3));
      await until("sent", () => one.counters.opackets === 3);
      write(driver("second"), host === undefined ? "one" : "two");
      const module = await k.modules.load(file, { ...o, replace: old });
      assertEquals([old.state, module.state, k.modules.list().length], ["gone", "loaded", 1]);
      assertEquals(k.resolve(one.handle), "gone");
      const [two] = await ifCloneCreate(k.vnet0, "again", { hints: [hintOf(one)] });
      await two.up();
      assertEquals([two.index, two.name, two.counters.opackets], [one.index, one.name, 3]);
      assertEquals([k.resolve(one.handle), k.resolve(two.handle)], ["moved", "live"]);
      send(k.vnet0, two, frames(2));
      const label = host === undefined ? "second.one" : "second.two";
      await untilAsync("sent by the new code", async () => (await driverCounters(two))[label] === 2);
      assertEquals([two.counters.opackets, one.counters.opackets], [5, 3]);
      // Without a hint the slot begins anew.
      await k.modules.unload(module, { mode: "drain" });
      await k.modules.load(file, o);
      const [three] = await ifCloneCreate(k.vnet0, "again");
      assertEquals([three.index, three.counters.opackets], [one.index, 0]);
      assertEquals([k.resolve(one.handle), k.resolve(two.handle)], ["reused", "reused"]);
    }));

  Deno.test(`a file that does not load ${where} leaves the old module and its interfaces as they were`, () =>
    withDriver(async (k, file, write) => {
      write(driver("first"));
      const old = await k.modules.load(file, o);
      const [one] = await ifCloneCreate(k.vnet0, "again");
      await one.up();
      for (
        const broken of ["export default {", "throw new Error('no');", "export default { name: 'again' };"]
      ) {
        write(broken);
        const e = await assertRejects(() => k.modules.load(file, { ...o, replace: old }));
        assert(isSoftcError(e), String(e));
        assertEquals([old.state, one.state, k.resolve(one.handle)], ["loaded", "attached", "live"]);
      }
      send(k.vnet0, one, frames(2));
      await until("sent", () => one.counters.opackets === 2);
    }));
}

Deno.test("a reload is refused by the old driver's veto, and by a name that somebody else has", () =>
  withDriver(async (k, file, write) => {
    write(driver("first", 'canDetach: () => "busy",'));
    const old = await k.modules.load(file);
    const [one] = await ifCloneCreate(k.vnet0, "again");
    const veto = await assertRejects(() => k.modules.load(file, { replace: old }));
    assert(isSoftcError(veto, "SOFTC_MODULE_BUSY"), String(veto));
    await k.modules.load("softc:null");
    write(driver("second").replace('cloner: "again"', 'cloner: "null"'));
    const taken = await assertRejects(() => k.modules.load(file, { replace: old }));
    assert(isSoftcError(taken, "SOFTC_MODULE_EXISTS"), String(taken));
    assertEquals([old.state, one.state], ["loaded", "attached"]);
  }));

Deno.test("hints are wishes: a taken slot or name is not had, and a pair has one each", () =>
  withDriver(async (k) => {
    await k.modules.load("softc:null");
    await k.modules.load("softc:epair");
    const [a] = await ifCloneCreate(k.vnet0, "null");
    const [b] = await ifCloneCreate(k.vnet0, "null", { hints: [hintOf(a)] });
    assert(b.index !== a.index && b.name !== a.name);
    const pair = await ifCloneCreate(k.vnet0, "epair");
    const hints = pair.map(hintOf);
    await k.modules.unload("epair", { mode: "drain" });
    await ifCloneCreate(k.vnet0, "null", { hints: [{ ...hints[0]!, index: 40 }] });
    await k.modules.load("softc:epair");
    const again = await ifCloneCreate(k.vnet0, "epair", { hints });
    assertEquals(again.map((i) => i.index), hints.map((h) => h.index));
    assert(again[0].name !== hints[0]!.name, "the name was taken");
  }));
