/** "Why is it not free yet?": whatever holds an interface is named, with its age, as data and as one tree. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  type Blame,
  blameTree,
  epochCall,
  epochDrain,
  epochOpen,
  ifCloneCreate,
  ifDetach,
  ifnetByHandle,
  ifnetByIndexRef,
  ifOutput,
  ifRele,
  mAlloc,
} from "../../mod.ts";
import { resetScript, script } from "../plugins/script.ts";
import { codeOf, until, withKernel } from "./rig.ts";

const SCRIPT = new URL("../plugins/script.ts", import.meta.url);

/** One row: what and who; its age and its fix are there. */
function row(held: readonly Blame[], what: string): Blame {
  const found = held.filter((b) => b.what === what);
  assertEquals(found.length, 1, `${what} in ${blameTree("held", held)}`);
  assert(found[0]!.fix.length > 0);
  return found[0]!;
}

Deno.test("a held reference: its tag, and since when", async () => {
  await withKernel({ clock: "virtual" }, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const ref = k.vnet0.section((s) => ifnetByIndexRef(s, i.index, "a monitor"))!;
    await ifDetach(i);
    k.advance(250);
    const { holder, age } = row(i.why(), "reference");
    assertEquals([i.state, holder, age], ["dead", "a monitor", 250]);
    assertEquals(
      blameTree(`${i.name} ${i.state}`, i.why()),
      "probe0 dead\n└─ reference: a monitor for 250 ms; release it with ifRele",
    );
    assertEquals(row(k.blame(), `reference to if#${i.index}`).holder, "a monitor");
    ifRele(ref);
    await until("it is free", () => i.state === "freed");
    assertEquals([i.why(), k.blame()], [[], []]);
  });
});

Deno.test("an async section: its opener, while an interface waits for it", async () => {
  await withKernel({ clock: "virtual" }, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const section = epochOpen(k, "a slow reader");
    k.advance(40);
    assertEquals(row(i.why(), "async section").holder, "a slow reader on CPU 0");
    const gone = ifDetach(i);
    await until("the grace period waits", () => i.why().some((b) => b.what === "grace period"));
    const { holder, age } = row(i.why(), "grace period");
    assertEquals([holder, age], ["a slow reader", 40]);
    section.close();
    await gone;
    assertEquals(i.why(), []);
  });
});

for (const cpu of [0, 1]) {
  Deno.test(`a hook that does not settle on CPU ${cpu}: its name, its CPU, and since when`, async () => {
    await withKernel({ cpus: 2, hookDeadline: 300, wedged: 1 }, async ({ k, probe }) => {
      await probe();
      const [i] = await ifCloneCreate(k.vnet0, "probe", { cpu, options: { hang: [`stop@${cpu}`] } });
      const gone = codeOf(ifDetach(i));
      const holder = `hook "stop" of probe0 on CPU ${cpu}`;
      await until("it is asked", () => i.why().some((b) => b.holder === holder));
      const { age } = row(i.why(), "waiting for");
      assert(age! >= 0 && age! < 30_000, `${age}`);
      assertEquals(await gone, "SOFTC_IF_WEDGED");
      assertEquals([i.state, row(i.why(), "waiting for").holder], ["wedged", holder]);
    });
  });
}

Deno.test("a stuck callback: how many, of which CPU, and the section that they wait for", async () => {
  await withKernel({}, async ({ k }) => {
    const section = epochOpen(k, "a reader that stays");
    let ran = 0;
    epochCall(k, () => ran++);
    epochCall(k, () => ran++);
    await until("the grace period waits", () => k.blame().some((b) => b.what === "grace period"));
    assertEquals([row(k.blame(), "epoch callbacks").holder, ran], ["2 of CPU 0", 0]);
    assertEquals(row(k.blame(), "grace period").holder, "a reader that stays");
    section.close();
    await epochDrain(k);
    assertEquals([ran, k.blame()], [2, []]);
  });
});

Deno.test("packets: in its queue, and at its device", async () => {
  await withKernel({}, async ({ k }) => {
    resetScript();
    await k.modules.load(SCRIPT);
    const [i] = await ifCloneCreate(k.vnet0, "script");
    await i.up();
    const taken: (() => void)[] = [];
    script.transmit = (b, dev) => {
      const m = b.take(0);
      taken.push(() => dev.txDone(m));
      return 1;
    };
    script.stop = () => taken.forEach((end) => end());
    k.vnet0.section((s) => ifOutput(s, ifnetByHandle(s, i.handle)!, mAlloc(s, 3, 64)));
    assertEquals(i.why().filter((b) => b.what === "packets").map((b) => b.holder), [
      `2 of the output queue of if#${i.index}`,
      `1 of the device of if#${i.index}`,
    ]);
    assertMatch(blameTree("held", i.why()), /├─ packets: 2 of .*\n└─ packets: 1 of /);
    await ifDetach(i);
    assertEquals(i.why(), []);
  });
});
