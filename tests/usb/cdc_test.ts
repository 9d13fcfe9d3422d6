import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import {
  boot,
  type Ifnet,
  ifOutput,
  ifunit,
  ifVmove,
  type Kernel,
  mAlloc,
  pktgen,
  type PluggedDevice,
  vnetCreate,
} from "../../mod.ts";
import { type NicOptions, type Setup, SoftNic, SoftPort, Transfer, usbId } from "../../drivers/usb/mod.ts";
import { ownKernel } from "../../kernel/api.ts";
import { poll } from "../helpers/leaks.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 9);

/** A port that remembers every transfer that it was given, and counts requests. */
class Watched extends SoftPort {
  readonly transfers = new Set<Transfer>();
  requests = 0;
  /** Called before request number `requests`. */
  onRequest: (n: number) => void = () => {};

  override submit(t: Transfer): void {
    this.transfers.add(t);
    super.submit(t);
  }
  override control(setup: Setup, data?: Uint8Array): Promise<Uint8Array> {
    this.onRequest(++this.requests);
    return super.control(setup, data);
  }
  /** Every transfer has completed exactly once for each time that it was submitted. */
  assertSettled(when: string): void {
    for (const t of this.transfers) {
      assertEquals([t.completions, t.pending], [t.submissions, false], `endpoint ${t.endpoint} ${when}`);
    }
    assertEquals(this.inFlight, 0, when);
  }
}

interface Rig {
  readonly k: Kernel;
  readonly nic: SoftNic;
  readonly port: Watched;
  readonly device: PluggedDevice;
  readonly i: Ifnet;
}

async function withKernel(body: (k: Kernel) => Promise<void>, debug = true): Promise<void> {
  const faults: string[] = [];
  const k = await boot({ debug, onFault: (e) => faults.push(e.message) });
  try {
    await k.modules.load("softc:usb");
    await body(k);
  } finally {
    const { leaks, wedged, unaccounted } = await k.shutdown();
    assertEquals({ leaks, wedged, unaccounted, faults }, {
      leaks: [],
      wedged: [],
      unaccounted: 0,
      faults: [],
    });
  }
}

function withNic(o: Partial<NicOptions>, body: (r: Rig) => Promise<void>, debug = true): Promise<void> {
  return withKernel(async (k) => {
    const nic = new SoftNic({ kind: "ncm", mac: MAC, ...o });
    const port = new Watched(nic);
    const device = await k.devices.plug(await usbId(port, "1-1"), { resource: port });
    assertEquals(device.state, "attached", k.devices.explain(device).join("\n"));
    const i = device.ifnets[0]!;
    await i.up();
    await body({ k, nic, port, device, i });
  }, debug);
}

function frame(len: number, mark: number): Uint8Array {
  return Uint8Array.from({ length: len }, (_, i) => i === 0 ? mark : i * 5 & 255);
}

function send(i: Ifnet, frames: readonly Uint8Array[]): number {
  return i.vnet.section((s) => {
    const p = ifunit(s, i.name);
    if (p === undefined) return 0;
    const b = mAlloc(s, frames.length, 0);
    frames.forEach((f, k) => b.copyFrom(k, f));
    return ifOutput(s, p, b);
  });
}

for (const kind of ["ecm", "ncm"] as const) {
  Deno.test(`${kind}: frames of every size cross both ways, one by one and many at once`, () =>
    withNic({ kind }, async ({ i, nic }) => {
      assertEquals([i.toJSON().mac, i.name], ["02:00:00:00:00:09", "ue0"]);
      const out: Uint8Array[] = [];
      const got: Uint8Array[] = [];
      nic.onFrame = (f) => out.push(f);
      const tap = i.tap({ onPacket: (p) => void (p.direction === "in" && got.push(p.bytes)) });
      const sizes = [14, 60, 64, 511, 512, 513, 1024, 1500, 1514];
      for (const [k, len] of sizes.entries()) {
        send(i, [frame(len, k)]);
        assert(await poll(() => out.length > 0, 5000), `${len} bytes did not come out`);
        assertEquals(out.splice(0), [frame(len, k)]);
        nic.send(frame(len, k));
        assert(await poll(() => got.length > 0, 5000), `${len} bytes did not come in`);
        assertEquals(got.splice(0), [frame(len, k)]);
      }
      const many = Array.from({ length: 200 }, (_, k) => frame(60 + k, k));
      assertEquals(send(i, many), 200);
      for (const f of many) nic.send(f);
      assert(
        await poll(() => out.length === 200 && got.length === 200, 5000),
        `${out.length} out, ${got.length} in`,
      );
      assertEquals([out, got], [many, many]);
      assertEquals(nic.mistakes, 0);
      await tap.close();
    }));
}

Deno.test("link notifications and the packet filter", () =>
  withNic({}, async ({ i, nic }) => {
    assert(await poll(() => i.toJSON().link === "up", 5000));
    nic.link(false);
    assert(await poll(() => i.toJSON().link === "down", 5000));
    assertEquals(nic.filter, 0x0e);
    await i.set({ promisc: true });
    assertEquals(nic.filter, 0x0f);
  }));

Deno.test("a device without a usable function is not bound, and explain() says so", () =>
  withKernel(async (k) => {
    const nic = new SoftNic({ kind: "ecm", mac: MAC });
    const control = nic.control.bind(nic);
    nic.control = (s, data) => s.value >> 8 === 2 ? control(s, data)?.with(14, 0xff) : control(s, data);
    const device = await k.devices.plug(await usbId(new SoftPort(nic), "1-1"), {
      resource: new SoftPort(nic),
    });
    assertEquals(device.state, "unclaimed");
    assert(k.devices.explain(device)[0]!.startsWith("cdc: no rule matches: it wants cdc ncm"));
  }));

Deno.test("a stalled endpoint is started again", () =>
  withNic({}, async ({ i, nic }) => {
    let stalls = 3;
    let cleared = 0;
    const [pull, control] = [nic.in.bind(nic), nic.control.bind(nic)];
    nic.in = (address, max) => address === 0x82 && stalls-- > 0 ? "stall" as never : pull(address, max);
    nic.control = (s, data) => {
      if (s.request === 1) cleared++;
      return control(s, data);
    };
    nic.send(frame(60, 1));
    assert(await poll(() => i.counters.ipackets === 1, 5000), "nothing after the stall");
    assert(await poll(() => cleared === 3, 5000), `${cleared} clears`);
  }));

Deno.test("blocks that are wrong are counted and skipped, and the next is read", () =>
  withNic({}, async ({ k, i, nic }) => {
    const pull = nic.in.bind(nic);
    let bad = 5;
    nic.in = (address, max) =>
      address === 0x82 && bad-- > 0 ? new Uint8Array(64).fill(bad) : pull(address, max);
    nic.send(frame(60, 1));
    assert(await poll(() => i.counters.ipackets === 1, 5000));
    assertEquals((await k.ledger()).unaccounted, 0);
  }));

/** An IPv4-like frame for the generator. */
const TRAFFIC = frame(64, 2);

Deno.test("[B60] unplugged after any number of steps of full traffic: every transfer completes once, nothing is left", () =>
  withKernel(async (k) => {
    let flying = 0;
    for (let steps = 0; steps < 40; steps++) {
      const nic = new SoftNic({ kind: steps % 2 === 0 ? "ncm" : "ecm", mac: MAC, serial: "U1" });
      const port = new Watched(nic);
      nic.onFrame = (f) => void nic.send(f);
      const device = await k.devices.plug(await usbId(port, "1-1"), { resource: port });
      const i = device.ifnets[0]!;
      if (steps === 0) await i.up();
      const stream = await pktgen({ vnet: k.vnet0, ifnet: i, frame: TRAFFIC });
      for (let s = 0; s < steps; s++) await new Promise((resolve) => setImmediate(resolve));
      flying += port.inFlight;
      const gone = k.devices.unplug(device);
      port.assertSettled(`right after unplug at step ${steps}`);
      await gone;
      port.assertSettled(`after unplug at step ${steps}`);
      await stream.stop();
      assertEquals(k.ifnets, []);
    }
    assert(flying > 60, `${flying} transfers were in flight`);
  }));

Deno.test("a transfer ends once, whoever comes first", () => {
  let called = 0;
  const t = new Transfer(0x82, 64, () => called++);
  assert(!t.end("ok", 1), "it was not under way");
  assert(t.begin() && !t.begin());
  assert(t.end("gone", 0) && !t.end("ok", 64) && !t.end("cancelled", 0));
  assertEquals([called, t.status, t.actual, t.completions, t.submissions], [1, "gone", 0, 1, 1]);
  assert(t.begin() && t.end("ok", 64));
  assertEquals([called, t.actual], [2, 64]);
});

Deno.test("pulled out by the device while it answers: the transfer that it answers completes once, too", () =>
  withNic({}, async ({ k, nic, port, device, i }) => {
    let gone: Promise<void> | undefined;
    nic.onFrame = () => gone ??= k.devices.unplug(device);
    send(i, [frame(60, 1)]);
    assert(await poll(() => gone !== undefined, 5000));
    await gone;
    port.assertSettled("after unplug from inside");
    assertEquals(k.ifnets, []);
  }));

Deno.test("[B71] unplugged at every request of attach: unwound, nothing is left", () =>
  withKernel(async (k) => {
    let requests = Infinity;
    for (let at = 1; at <= requests; at++) {
      const port = new Watched(new SoftNic({ kind: "ncm", mac: MAC }));
      const id = await usbId(port, "1-1");
      const before = port.requests;
      let gone: Promise<void> | undefined;
      port.onRequest = (n) => {
        if (n - before === at) gone = k.devices.unplug(k.devices.list()[0]!);
      };
      const device = await k.devices.plug(id, { resource: port });
      await gone;
      if (gone === undefined) {
        requests = port.requests - before;
        await k.devices.unplug(device);
      }
      port.assertSettled(`after unplug at request ${at}`);
      assertEquals([device.state, k.ifnets.length], ["gone", 0]);
      assertEquals(ownKernel(k).parts.instances.size, 0, `an instance is left after request ${at}`);
      if (gone === undefined) break;
    }
    assert(requests >= 7, `${requests} requests`);
  }));

Deno.test("pulled out at full traffic in another vnet and plugged back: name, vnet and flags come back", () =>
  withNic({ serial: "U7" }, async ({ k, nic, port, device, i }) => {
    const lan = await vnetCreate(k.vnet0, "lan");
    await i.set({ name: "dongle" });
    const { ifnet } = await ifVmove(i, lan);
    const stream = await pktgen({ vnet: lan, ifnet, frame: TRAFFIC });
    assert(await poll(() => nic.received > 100, 5000));
    await k.devices.unplug(device);
    port.assertSettled("after unplug");
    const again = new SoftNic({ kind: "ncm", mac: MAC, serial: "U7" });
    const back = await k.devices.plug(await usbId(new SoftPort(again), "2-4"), {
      resource: new SoftPort(again),
    });
    const { name, vnet, flags } = back.ifnets[0]!.toJSON();
    assertEquals([name, vnet, flags.includes("UP")], ["dongle", "lan", true]);
    assert(await poll(() => again.received > 100, 5000), "no traffic after the replug");
    await stream.stop();
  }));

Deno.test("detach in traffic cancels every transfer, once", () =>
  withNic({}, async ({ k, port, device, i }) => {
    const stream = await pktgen({ vnet: k.vnet0, ifnet: i, frame: TRAFFIC });
    assert(await poll(() => i.counters.opackets > 100, 5000));
    await k.devices.detach(device);
    port.assertSettled("after detach");
    assertEquals([device.state, port.gone], ["unclaimed", false]);
    await stream.stop();
    await k.devices.attach(device);
    assertEquals(device.state, "attached");
  }));
