import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  boot,
  CODES,
  discard,
  epochCall,
  epochDrain,
  epochOpen,
  type Handle,
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  type Ifnet,
  ifnetByHandle,
  ifnetByIndex,
  ifnetByIndexAttached,
  ifnetByIndexRef,
  ifOutput,
  ifRele,
  ifTryRef,
  ifunit,
  ifVmove,
  isSoftcError,
  type Kernel,
  mAlloc,
  parseHandle,
  pktgen,
  type Section,
  SoftcError,
  type Vnet,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import { frames, plugin, send, udpFrame, until, withCleanKernel } from "./kit.ts";
import { resetScript, script } from "../plugins/script.ts";

/** What a call threw or rejected with. */
async function failure(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (e) {
    return e;
  }
  return undefined;
}

/** Each call fails with its code, in a message that says what failed and the fix. */
async function refused(cases: readonly [string, () => unknown][]): Promise<void> {
  for (const [code, call] of cases) {
    const e = await failure(call);
    const what = `${call}`.replace(/^\(\) => /, "");
    assert(isSoftcError(e), `${what} gave ${e instanceof Error ? e.stack : String(e)}`);
    assertEquals(e.code, code, `${what}: ${e.message}`);
    assertMatch(e.message, /^[A-Z"].* \[SOFTC_[A-Z_]+.*\]; fix: [a-z].+$/s, what);
    assert(
      e.state !== undefined || e.wanted !== undefined,
      `${what}: neither state nor wanted: ${e.message}`,
    );
  }
}

const wrong = <T>(x: unknown): T => x as T;

Deno.test("every code is SOFTC_AREA_WHAT with a fix, and its message carries all that the error knows", () => {
  for (const [code, row] of Object.entries(CODES)) {
    assertMatch(code, /^SOFTC_[A-Z]+(_[A-Z]+)+$/);
    assert(row.fix.length > 10 && !row.fix.endsWith("."), code);
  }
  const cause = new TypeError("deep");
  const e = new SoftcError("SOFTC_IF_GONE", "Cannot send", { state: "moved", wanted: "live", cause });
  assertEquals(
    e.message,
    `Cannot send (state "moved", wanted "live") [SOFTC_IF_GONE ENXIO; rule 4b]; fix: ${e.fix}`,
  );
  assertEquals(JSON.parse(JSON.stringify(e)), {
    code: "SOFTC_IF_GONE",
    message: e.message,
    errno: "ENXIO",
    state: "moved",
    wanted: "live",
    rule: "4b",
    fix: CODES.SOFTC_IF_GONE.fix,
    cause: "deep",
  });
});

Deno.test("errors of two copies of the package are told by name and code", () => {
  const other = Object.assign(new Error("x"), { name: "SoftcError", code: "SOFTC_IF_GONE" });
  assert(isSoftcError(other, "SOFTC_IF_GONE"));
  assert(!isSoftcError(other, "SOFTC_IF_FULL"));
  for (const no of [new Error("x"), { name: "SoftcError" }, null, "SoftcError"]) assert(!isSoftcError(no));
});

Deno.test("every public call refuses arguments that are not what its signature says", async () => {
  await withCleanKernel({ cpus: 2, ifnets: 64 }, async ({ k }) => {
    await k.modules.load("softc:null");
    const [i] = await ifCloneCreate(k.vnet0, "null");
    const other = await vnetCreate(k.vnet0, "other");
    const noKernel = wrong<Kernel>({});
    const noVnet = wrong<Vnet>({ name: "fake" });
    const noIfnet = wrong<Ifnet>({ name: "fake" });
    const noSection = wrong<Section>({});
    const frame = udpFrame();
    const closed = k.section((s) => s);
    await refused([
      ["SOFTC_BOOT_ARGUMENT", () => boot({ cpus: -1 })],
      ["SOFTC_BOOT_ARGUMENT", () => epochCall(noKernel, () => {})],
      ["SOFTC_BOOT_ARGUMENT", () => epochOpen(noKernel, "x")],
      ["SOFTC_BOOT_ARGUMENT", () => epochDrain(noKernel)],
      ["SOFTC_BOOT_ARGUMENT", () => k.advance(5)],
      ["SOFTC_VNET_ARGUMENT", () => vnetCreate(noVnet, "x")],
      ["SOFTC_VNET_ARGUMENT", () => vnetCreate(k.vnet0, "")],
      ["SOFTC_VNET_ARGUMENT", () => vnetCreate(k.vnet0, "a b")],
      ["SOFTC_VNET_ARGUMENT", () => vnetCreate(k.vnet0, wrong<string>(7))],
      ["SOFTC_VNET_EXISTS", () => vnetCreate(k.vnet0, "other")],
      ["SOFTC_VNET_ARGUMENT", () => vnetDestroy(noVnet)],
      ["SOFTC_VNET_ORDER", () => vnetDestroy(k.vnet0)],
      ["SOFTC_VNET_ARGUMENT", () => discard(noVnet)],
      ["SOFTC_VNET_ARGUMENT", () => ifCloneCreate(noVnet, "null")],
      ["SOFTC_DRIVER_UNKNOWN", () => ifCloneCreate(k.vnet0, "nothing")],
      ["SOFTC_DRIVER_UNKNOWN", () => ifCloneCreate(k.vnet0, wrong<string>(undefined))],
      ["SOFTC_IF_ARGUMENT", () => ifCloneCreate(k.vnet0, "null", { name: "9x" })],
      ["SOFTC_IF_ARGUMENT", () => ifCloneCreate(k.vnet0, "null", { name: "x".repeat(16) })],
      ["SOFTC_IF_ARGUMENT", () => ifCloneCreate(k.vnet0, "null", { name: wrong<string>(5) })],
      ["SOFTC_IF_EXISTS", () => ifCloneCreate(k.vnet0, "null", { name: i.name })],
      ["SOFTC_DEV_CPU", () => ifCloneCreate(k.vnet0, "null", { cpu: 2 })],
      ["SOFTC_DEV_CPU", () => ifCloneCreate(k.vnet0, "null", { cpu: 0.5 })],
      ["SOFTC_IF_ARGUMENT", () => ifCloneDestroy(noIfnet)],
      ["SOFTC_IF_ARGUMENT", () => ifDetach(noIfnet)],
      ["SOFTC_IF_ARGUMENT", () => ifVmove(noIfnet, other)],
      ["SOFTC_VNET_ARGUMENT", () => ifVmove(i, noVnet)],
      ["SOFTC_VNET_SAME", () => ifVmove(i, k.vnet0)],
      ["SOFTC_IF_MTU", () => i.set({ mtu: 71 })],
      ["SOFTC_IF_MTU", () => i.set({ mtu: 1500.5 })],
      ["SOFTC_DEV_CPU", () => i.set({ dispatch: 2 })],
      ["SOFTC_DEV_CPU", () => i.set({ dispatch: -1 })],
      ["SOFTC_EPOCH_OUTSIDE", () => ifnetByIndex(closed, 1)],
      ["SOFTC_EPOCH_OUTSIDE", () => ifnetByIndexAttached(noSection, 1)],
      ["SOFTC_EPOCH_OUTSIDE", () => ifnetByHandle(closed, i.handle)],
      ["SOFTC_EPOCH_OUTSIDE", () => ifnetByIndexRef(closed, 1)],
      ["SOFTC_EPOCH_OUTSIDE", () => ifunit(closed, "null0")],
      ["SOFTC_EPOCH_OUTSIDE", () => mAlloc(closed, 1, 60)],
      ["SOFTC_EPOCH_ASYNC", () => k.section(wrong<() => number>(async () => await Promise.resolve(1)))],
      ["SOFTC_MBUF_RANGE", () => k.section((s) => void mAlloc(s, 1, -1))],
      ["SOFTC_MBUF_RANGE", () => k.section((s) => void mAlloc(s, 1, 1985))],
      ["SOFTC_IF_ARGUMENT", () => parseHandle("if#1")],
      ["SOFTC_IF_ARGUMENT", () => parseHandle("if#65536.g1")],
      ["SOFTC_IF_ARGUMENT", () => pktgen({ vnet: k.vnet0, ifnet: i, frame, batch: 0 })],
      ["SOFTC_IF_ARGUMENT", () => pktgen({ vnet: k.vnet0, ifnet: i, frame, batch: 257 })],
      ["SOFTC_IF_ARGUMENT", () => pktgen({ vnet: k.vnet0, ifnet: i, frame: new Uint8Array(13) })],
      ["SOFTC_IF_ARGUMENT", () => pktgen({ vnet: k.vnet0, ifnet: i, frame: new Uint8Array(1985) })],
      ["SOFTC_DEV_CPU", () => pktgen({ vnet: k.vnet0, ifnet: i, frame, cpus: [0, 2] })],
      ["SOFTC_IF_ARGUMENT", () => pktgen({ vnet: k.vnet0, ifnet: noIfnet, frame })],
      ["SOFTC_IF_ARGUMENT", () => pktgen({ vnet: k.vnet0, ifnet: i, frame: wrong("x".repeat(60)) })],
      ["SOFTC_IF_ARGUMENT", () => pktgen({ vnet: k.vnet0, ifnet: i, frame, count: -1 })],
      ["SOFTC_IF_ARGUMENT", () => i.tap(wrong({}))],
      ["SOFTC_IF_ARGUMENT", () => i.tap({ onPacket: () => {}, snap: 0 })],
      ["SOFTC_IF_ARGUMENT", () => k.section((s) => void ifTryRef(s, wrong(1e9), "x"))],
      ["SOFTC_IF_ARGUMENT", () => k.section((s) => void ifTryRef(s, wrong(0), "x"))],
      ["SOFTC_IF_REF", () => ifRele(wrong(null))],
      ["SOFTC_BOOT_ARGUMENT", () => boot(wrong(null))],
      ["SOFTC_BOOT_ARGUMENT", () => boot({ clock: wrong("slow") })],
      ["SOFTC_BOOT_ARGUMENT", () => boot({ signal: wrong(5) })],
      ["SOFTC_BOOT_ARGUMENT", () => boot({ onFault: wrong(5) })],
      ["SOFTC_EPOCH_ARGUMENT", () => epochCall(k, wrong(5))],
      ["SOFTC_EPOCH_ARGUMENT", () => k.section(wrong(5))],
      ["SOFTC_MODULE_ARGUMENT", () => k.modules.unload("null", { mode: wrong("gently") })],
      ["SOFTC_MODULE_UNKNOWN", () => k.modules.unload(wrong(null))],
      ["SOFTC_MODULE_UNKNOWN", () => k.modules.unload("nothing")],
      ["SOFTC_MODULE_UNKNOWN", () => k.modules.explain("nothing")],
      ["SOFTC_MODULE_EXISTS", () => k.modules.load("softc:null")],
      ["SOFTC_MODULE_LOAD", () => k.modules.load("no-such-package-of-drivers")],
    ]);
    // Nothing of all that left a trace: the name, the vnet and the slot are as they were.
    assertEquals([k.ifnets.map(String), k.vnets.length], [[String(i)], 2]);
  });
});

Deno.test("a batch is checked, and a reference is released once", async () => {
  await withCleanKernel({}, async ({ k }) => {
    await k.modules.load("softc:null");
    const [i] = await ifCloneCreate(k.vnet0, "null");
    k.section((s) => {
      const p = ifnetByHandle(s, i.handle)!;
      const e = assertThrows(() => ifOutput(s, p, wrong({ length: 1 })), SoftcError);
      assertEquals([e.code, e.wanted], ["SOFTC_IF_ARGUMENT", "a batch of mAlloc or dev.alloc"]);
    });
    const ref = k.section((s) => ifTryRef(s, ifnetByIndex(s, i.index)!, "test"))!;
    ifRele(ref);
    await refused([
      ["SOFTC_IF_REF", () => ifRele(ref)],
      ["SOFTC_IF_REF", () => ifRele({ index: 1, tag: "made up" })],
    ]);
    // A handle of another kernel, or of nothing, answers and never throws.
    const handles = [0, -1, NaN, 1.5, 2 ** 52, Infinity].map((h) => k.resolve(h as Handle));
    assertEquals(handles, handles.map(() => "unknown"));
    assertEquals(
      k.section((s) => [-1, 0, 64.5, 1e9, NaN].map((x) => ifnetByIndex(s, x))),
      Array(5).fill(undefined),
    );
  });
});

Deno.test("a full table is an error, and a destroyed interface makes room again", async () => {
  await withCleanKernel({ ifnets: 4 }, async ({ k }) => {
    await k.modules.load("softc:null");
    const made = [];
    for (let n = 0; n < 3; n++) made.push((await ifCloneCreate(k.vnet0, "null"))[0]);
    await refused([["SOFTC_IF_FULL", () => ifCloneCreate(k.vnet0, "null")]]);
    await ifCloneDestroy(made[1]!);
    assertEquals((await ifCloneCreate(k.vnet0, "null"))[0].index, made[1]!.index);
  });
});

Deno.test("an arena too full for an interface refuses it and gives back what it took", async () => {
  await withCleanKernel({ arena: 2 << 20, mbufs: 64, ifnets: 4096 }, async ({ k, own }) => {
    await k.modules.load(plugin("slow"));
    const made: Ifnet[] = [];
    const e = await failure(async () => {
      for (;;) made.push((await ifCloneCreate(k.vnet0, "slow"))[0]);
    });
    assert(isSoftcError(e, "SOFTC_ARENA_FULL"), String(e));
    const used = own.control.heap.used;
    await ifCloneDestroy(made.pop()!);
    made.push((await ifCloneCreate(k.vnet0, "slow"))[0]);
    assertEquals([own.control.heap.used, k.ifnets.length], [used, made.length]);
  });
});

Deno.test("[B33] a structural call from inside a hook or a section is refused, never a deadlock", async () => {
  resetScript();
  await withCleanKernel({}, async ({ k }) => {
    await k.modules.load(plugin("script"));
    const [i] = await ifCloneCreate(k.vnet0, "script");
    await i.up();
    const calls: [string, () => unknown][] = ([
      () => ifDetach(i),
      () => ifCloneDestroy(i),
      () => i.down(),
      () => i.set({ mtu: 1000 }),
      () => vnetCreate(k.vnet0, "x"),
      () => ifVmove(i, k.vnet0),
      () => k.modules.unload("script"),
      () => k.ledger(),
    ] as const).map((call) => ["SOFTC_DEV_REENTRANT", call]);
    for (const where of ["section", "hook"]) {
      const started: Promise<unknown>[] = [];
      const all = (): void => {
        for (const [, call] of calls) started.push(failure(call));
      };
      script.transmit = (b) => (where === "hook" ? all() : undefined, b.freeAll());
      if (where === "section") k.section(() => all());
      else send(k.vnet0, i, frames(1));
      const codes = (await Promise.all(started)).map((e) => (e as SoftcError | undefined)?.code);
      assertEquals<unknown[]>(codes, calls.map(([code]) => code), where);
    }
    assertEquals(i.state, "attached");
  });
});

Deno.test("a transmit hook that throws or counts wrong takes down its own instance, never the kernel", async () => {
  for (
    const [text, transmit] of [
      ["planted", () => {
        throw new Error("planted");
      }],
      ["SOFTC_DRIVER_COUNT", () => 1000],
      ["SOFTC_DRIVER_COUNT", () => -1],
      ["SOFTC_DRIVER_COUNT", () => NaN],
      ["SOFTC_DRIVER_COUNT", () => undefined as unknown as number],
    ] as const
  ) {
    resetScript();
    await withCleanKernel({}, async ({ k, faults }) => {
      await k.modules.load(plugin("script"));
      const [i] = await ifCloneCreate(k.vnet0, "script");
      const [well] = await ifCloneCreate(k.vnet0, "script");
      await i.up();
      await well.up();
      script.transmit = transmit;
      send(k.vnet0, i, frames(3));
      resetScript();
      await until("taken down", () => i.state === "freed");
      assertEquals(faults.map((e) => e.code), ["SOFTC_DRIVER_THREW"]);
      assert(faults[0]!.message.includes(`Hook "transmit" of ${i.name} threw on CPU 0`), faults[0]!.message);
      assert(faults[0]!.message.includes(text), faults[0]!.message);
      assertEquals((await k.ledger()).dropped, { fault: 3 });
      assertEquals(send(k.vnet0, well, frames(2)).accepted, 2);
    });
  }
});

Deno.test("a message says the wanted state when there is no other to say", () => {
  const e = new SoftcError("SOFTC_BOOT_ARGUMENT", "Cannot boot with cpus 0", {
    wanted: "a whole number from 1",
  });
  assertMatch(e.message, /^Cannot boot with cpus 0 \(wanted "a whole number from 1"\) \[SOFTC_BOOT_ARGUMENT/);
});
