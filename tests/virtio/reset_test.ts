/** A device that never acks its reset keeps the buffers that it was given, and its interface is wedged. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Batch,
  boot,
  ifCloneCreate,
  ifCloneDestroy,
  type Ifnet,
  ifOutput,
  ifunit,
  type Kernel,
  mAlloc,
  type ShutdownReport,
} from "../../mod.ts";
import { poll } from "../helpers/leaks.ts";
import { HandDevice } from "./hand_device.ts";

const NIC = { bus: "virtio", device: 1, address: "0", serial: "M1" };

async function withKernel(body: (k: Kernel) => Promise<void>): Promise<ShutdownReport> {
  const k = await boot({ debug: true, hookDeadline: 200, mbufs: 1024 });
  let report: ShutdownReport;
  try {
    await k.modules.load("softc:virtio");
    await body(k);
  } finally {
    report = await k.shutdown();
  }
  assertEquals(report.unaccounted, 0);
  return report;
}

function send(i: Ifnet): void {
  i.vnet.section((s) => ifOutput(s, ifunit(s, i.name)!, mAlloc(s, 1, 60)));
}

/** Packets that the device of an interface has. */
async function held(k: Kernel, i: Ifnet): Promise<number> {
  const { index } = i.toJSON();
  const { live } = await k.ledger();
  return live.find((l) => l.owner === `the device of if#${index}`)?.lives ?? 0;
}

/** The driver asks its device as long as the process lives: the kernel has given it up, nobody tells it so. */
const ASKS_ON = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "a device that never acks its reset keeps its buffers: wedged, named, never used again, all else goes on",
  ASKS_ON,
  async () => {
    let left = 0;
    const report = await withKernel(async (k) => {
      await k.modules.load(new URL("./plugins/mute.ts", import.meta.url));
      const [host] = await ifCloneCreate(k.vnet0, "mute");
      await host.up();
      const device = await k.devices.plug(NIC, { parent: host });
      assertEquals(device.state, "attached", k.devices.explain(device).join("\n"));
      const nic = device.ifnets[0]!;
      await nic.up();
      const { index } = nic.toJSON();
      send(nic);
      assert(await poll(() => nic.counters.opackets === 1, 5000), "nothing sent");
      left = await held(k, nic);
      assert(left >= 65, `64 to receive into and one to send, ${left} held`);
      const e = await assertRejects(() => k.devices.unplug(device), Error, "SOFTC_IF_WEDGED");
      assert(e.message.includes(nic.name), e.message);
      assertEquals(nic.state, "wedged");
      assertEquals(await held(k, nic), left, "what the device may touch is nobody else's");

      // Every other mbuf is in use; the device writes into what it was given.
      k.vnet0.section((s) => {
        const last = mAlloc(s, 1, 60);
        const all: Batch[] = [];
        for (let b = mAlloc(s, 256, 1984); b.length > 0; b = mAlloc(s, 256, 1984)) all.push(b);
        const count = all.reduce((n, b) => n + b.length, 0);
        assertEquals(count, 1024 - left - 1);
        for (const b of all) for (let i = 0; i < b.length; i++) b.bytes(i).fill(0x11);
        ifOutput(s, ifunit(s, host.name)!, last);
        for (const b of all) {
          for (let i = 0; i < b.length; i++) {
            assert(b.bytes(i).every((x) => x === 0x11), "late DMA into a packet in use");
          }
          b.freeAll();
        }
      });
      // Free ones were not written either: the sanitizer looks at each when it is given out again.
      k.vnet0.section((s) => {
        for (let b = mAlloc(s, 256, 60), all = [b];; all.push(b = mAlloc(s, 256, 60))) {
          if (b.length > 0) continue;
          for (const x of all) x.freeAll();
          break;
        }
      });

      // The same card behind a device that answers: another slot.
      const [good] = await ifCloneCreate(k.vnet0, "vhost");
      await good.up();
      const again = await k.devices.plug(NIC, { parent: good });
      assertEquals(again.state, "attached", k.devices.explain(again).join("\n"));
      assert(again.ifnets[0]!.toJSON().index !== index);
      await k.devices.unplug(again);
      await ifCloneDestroy(host);
      assertEquals(await held(k, nic), left);
      await assertRejects(() => k.modules.unload("virtio", { mode: "force" }), Error, "wedged");
    });
    assert(
      report.wedged.length > 0 && report.wedged.every((w) => /wedged/.test(w)),
      report.wedged.join("\n"),
    );
    assert(report.leaks.some((l) => l.startsWith(`${left} mbufs of the device of`)), report.leaks.join("\n"));
    assert(
      report.leaks.some((l) => l.includes("shared softc of mute0")),
      "the window that the driver may still use",
    );
  },
);

Deno.test(
  "an outside device that never acks is asked again, never spun on, and its interface is wedged",
  ASKS_ON,
  async () => {
    const report = await withKernel(async (k) => {
      const hand = new HandDevice();
      const device = await k.devices.plug(NIC, { resource: hand });
      const nic = device.ifnets[0]!;
      await nic.up();
      send(nic);
      assert(await poll(() => hand.sent.length === 1, 5000));
      hand.acks = false;
      const before = hand.resets;
      await assertRejects(() => k.devices.detach(device), Error, "SOFTC_IF_WEDGED");
      assertEquals([nic.state, device.state], ["wedged", "detaching"]);
      const asked = hand.resets - before;
      assert(asked > 1 && asked < 100, `asked ${asked} times`);
      const other = await k.devices.plug({ ...NIC, address: "1", serial: "M2" }, {
        resource: new HandDevice(),
      });
      assertEquals(other.state, "attached");
    });
    assert(report.wedged.length > 0);
  },
);
