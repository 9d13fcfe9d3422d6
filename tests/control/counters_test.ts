/** A driver's own counters, as the API and the command line ask for them. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { load } from "../../core/doors/arena.ts";
import type { Device } from "../../core/device/device.ts";
import { IfnetObject } from "../../core/net/ifnet_object.ts";
import { ownKernel } from "../../kernel/api.ts";
import { ifCloneCreate, pktgen } from "../../mod.ts";
import { frames, plugin, send, udpFrame, until, untilAsync } from "../core/kit.ts";
import { softc, withSession } from "./helper.ts";

Deno.test("a live interface shows its driver's counters, and names a CPU that is stuck instead of waiting for it", () =>
  withSession({ cpus: 2 }, async (session, { kernel, call }) => {
    await kernel.modules.load(plugin("stalls"));
    const [i] = await ifCloneCreate(kernel.vnet0, "stalls");
    await i.up();
    const show = async (): Promise<string> => (await softc("if", "show", i.name, "--session", session)).out;
    const device = IfnetObject.entry(i)!.device as Device;
    const stream = await pktgen({ vnet: kernel.vnet0, ifnet: i, cpus: [1], count: 1, frame: udpFrame() });
    const { a } = ownKernel(kernel).arena;
    await until("CPU 1 is stuck in transmit", () => load(a, device.sharedAt) === 1);
    const { status, body } = await call("GET", `/api/if/${i.name}`);
    assertEquals([status, body.driverCounters, body.late], [200, {}, [1]]);
    assertStringIncludes(await show(), "late       CPU 1 did not answer: the driver's counters are old\n");
    send(kernel.vnet0, i, frames(2));
    await untilAsync("it answers", async () => (await i.readDriverCounters()).late.length === 0);
    const after = (await call("GET", `/api/if/${i.name}`)).body;
    assertEquals([after.driverCounters, after.late], [{ packets: 3 }, []]);
    assertMatch(await show(), /^ {2}packets +3$/m);
    await stream.stop();
  }));
