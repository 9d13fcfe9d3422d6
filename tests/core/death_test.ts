import { assert, assertEquals } from "@std/assert";
import {
  boot,
  epochCall,
  epochDrain,
  epochOpen,
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  type Ifnet,
  ifVmove,
  type Kernel,
  type SoftcError,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import { assertNoLeaks } from "../helpers/leaks.ts";
import { codeOf } from "../life/rig.ts";
import { plugin, until } from "./kit.ts";

/** A kernel of two CPUs with an interface whose `up` ends CPU 1. */
async function mortal(): Promise<{ k: Kernel; killer: Ifnet; faults: SoftcError[] }> {
  const faults: SoftcError[] = [];
  const k = await boot({ cpus: 2, onFault: (e) => void faults.push(e) });
  await k.modules.load(plugin("review_probe"));
  const [killer] = await ifCloneCreate(k.vnet0, "killer", { cpu: 1 });
  return { k, killer, faults };
}

/** What a promise settles with, or "pending" after 5 s. */
async function within(p: Promise<unknown>): Promise<unknown> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise((resolve) => timer = setTimeout(() => resolve("pending"), 5000));
  const first = await Promise.race([p, late]);
  clearTimeout(timer);
  return first;
}

Deno.test("when a CPU dies, everything that is under way fails with it, whatever it waits for", async () => {
  await assertNoLeaks(async () => {
    const { k, killer, faults } = await mortal();
    await k.modules.load("softc:null");
    await k.modules.load(plugin("life_probe"));
    const [a, b] = [await vnetCreate(k.vnet0, "a"), await vnetCreate(k.vnet0, "b")];
    const make = async (v = k.vnet0, options = {}): Promise<Ifnet> =>
      (await ifCloneCreate(v, "probe", { cpu: 0, options }))[0];
    const [detached, moved, destroyed, hung] = [
      await make(),
      await make(a),
      await make(),
      await make(k.vnet0, { hang: ["set"] }),
    ];
    await make(b);
    const tap = (await make()).tap({ onPacket: () => {} });
    await ifCloneCreate(k.vnet0, "null");
    epochOpen(k, "a reader that never leaves");
    const attach = ifCloneCreate(k.vnet0, "probe", { cpu: 0, options: { hang: ["attach"] } });
    attach.catch(() => {});
    await until("attach runs", () => k.blame().some((x) => x.holder.includes('"attach"')));
    let ran = false;
    epochCall(k, () => void (ran = true));
    const under = {
      detach: ifDetach(detached),
      "vmove, which waits for readers": ifVmove(moved, b, { name: "moved" }),
      destroy: ifCloneDestroy(destroyed),
      "vnet, which waits for its interface": vnetDestroy(b),
      "vnet, which waits for the move": vnetDestroy(a),
      drain: epochDrain(k),
      "a hook of CPU 0": hung.up(),
      attach,
      unload: k.modules.unload("null", { mode: "drain" }),
      "unload, which waits for the attach": k.modules.unload("probe", { mode: "force" }),
      "closing a tap": tap.close(),
      "a hook of the CPU that dies": killer.up(),
    };
    const codes = Object.fromEntries(Object.entries(under).map(([what, p]) => [what, codeOf(p)]));
    await until("the death", () => faults.some((e) => e.code === "SOFTC_BOOT_CPU"));
    for (const [what, code] of Object.entries(codes)) {
      assertEquals(await within(code), "SOFTC_BOOT_CPU", what);
    }
    assertEquals(await codeOf(epochDrain(k)), "SOFTC_BOOT_DOWN");
    const report = await within(k.shutdown());
    assert(report !== "pending", "shutdown hangs");
    assertEquals([ran, k.inspect().waits, k.inspect().workers], [false, [], []]);
  });
});

Deno.test("a CPU that dies while the kernel shuts down: the shutdown ends", async () => {
  await assertNoLeaks(async () => {
    const { k, killer } = await mortal();
    const [i] = await ifCloneCreate(k.vnet0, "obedient", { cpu: 0 });
    epochOpen(k, "a reader that never leaves");
    const up = codeOf(killer.up());
    const report = await within(k.shutdown());
    assert(report !== "pending", "shutdown hangs");
    const { wedged } = report as Awaited<ReturnType<Kernel["shutdown"]>>;
    assert(wedged.some((w) => w.includes("CPU 1 died")), wedged.join("\n"));
    assertEquals([await up, i.state], ["SOFTC_BOOT_CPU", "detaching"]);
  });
});
