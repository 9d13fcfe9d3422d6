import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { checkNames } from "../../core/options.ts";
import { defineDriver } from "../../core/device/mod.ts";
import {
  boot,
  ifCloneCreate,
  ifVmove,
  inetAddress,
  isSoftcError,
  ping,
  pktgen,
  SoftcError,
  udpOpen,
  vnetCreate,
} from "../../mod.ts";
import { conformance, exploreDriver, watchDriver } from "../../testing/mod.ts";
import { plugin, udpFrame, withCleanKernel } from "./kit.ts";

/** What a call is refused with; fails when it is not, or with something else. */
async function refused(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (e) {
    if (isSoftcError(e, "SOFTC_OPTION_UNKNOWN")) return e.message;
    throw e;
  }
  throw new Error("it was taken");
}

Deno.test("checkNames() names what there is not, the nearest that there is first, and takes the rest", () => {
  const names = { cpus: true, clock: true, onFault: true } as const;
  for (const fine of [undefined, null, {}, { cpus: 1, onFault: undefined }]) checkNames("boot", fine, names);
  const nearest = (given: object): string => {
    try {
      checkNames("boot", given, names);
    } catch (e) {
      return (e as { wanted: string }).wanted;
    }
    throw new Error("it was taken");
  };
  assertEquals(nearest({ cpus: 1, cpu: 2 }), "cpus, or clock, onFault");
  assertEquals(nearest({ onfault: 0 }), "onFault, or cpus, clock");
  assertEquals(nearest({ toString: 0 }).split(",").length, 3, "what every object inherits is no option");
});

Deno.test("an option or hook that there is not is refused by name, everywhere", async () => {
  await withCleanKernel({}, async ({ k }) => {
    await k.modules.load("softc:null");
    const red = await vnetCreate(k.vnet0, "red");
    const [i] = await ifCloneCreate(k.vnet0, "null");
    const { vnet0 } = k;
    const frame = udpFrame();
    // deno-lint-ignore no-explicit-any -- what a JavaScript author may write
    const wrong = (o: object): any => o;
    const driver = { name: "x", api: 1, attach: () => ({}), transmit: () => 0 } as const;
    const calls: readonly (readonly [nearest: string, call: () => unknown])[] = [
      ["cpus", () => boot(wrong({ cpu: 2 }))],
      ["options", () => ifCloneCreate(vnet0, "null", wrong({ option: {} }))],
      ["flushMs", () => ifVmove(i, red, wrong({ flush: 1 }))],
      ["flushMs", () => ifVmove(i, red, wrong({ fromClosing: true }))],
      ["frame", () => pktgen(wrong({ vnet: vnet0, ifnet: i, frame, frames: 1 }))],
      ["mtu", () => i.set(wrong({ mtv: 1500 }))],
      ["snap", () => i.tap(wrong({ onPacket() {}, snaplen: 1 }))],
      ["timeout", () => i.readDriverCounters(wrong({ timeot: 1 }))],
      ["dad", () => inetAddress(i, "10.0.0.1/24", wrong({ dat: false }))],
      ["count", () => ping(vnet0, "127.0.0.1", wrong({ counts: 1 }))],
      ["port", () => udpOpen(vnet0, wrong({ prot: 7 }))],
      ["host", () => k.modules.load("softc:epair", wrong({ hosted: {} }))],
      ["slots", () => k.modules.load("softc:epair", { host: wrong({ slot: 16 }) })],
      ["vnet", () => k.subscribe(wrong({ vnets: red }))],
      ["deadline", () => k.shutdown(wrong({ deadlin: 1 }))],
      ["mode", () => k.modules.unload("null", wrong({ modes: "force" }))],
      ["parent", () => k.devices.plug({ bus: "b", address: "1" }, wrong({ parents: i }))],
      ["reassign", () => defineDriver(wrong({ ...driver, reasign() {} }))],
      ["cloner", () => conformance("file:///x.js", wrong({ clonr: "x" }))],
      ["D09", () => conformance("file:///x.js", { skip: { D99: "why not" } })],
      ["bound", () => exploreDriver(plugin("half"), wrong({ bounds: 1 }))],
      ["rate", () => watchDriver("x.ts", wrong({ onEvent() {}, rates: 1 }))],
    ];
    for (const [nearest, call] of calls) {
      assertStringIncludes(await refused(call), `(wanted "${nearest}`);
    }
    assertEquals([i.state, i.vnet.name, k.ifnets.length], ["attached", "vnet0", 1], "nothing was done");
  });
});

Deno.test("a driver's own options are refused by their names too, those of the built-in drivers to begin with", async () => {
  await withCleanKernel({}, async ({ k }) => {
    for (
      const [module, cloner, options, says] of [
        ["softc:epair", "epair", { dispach: "flow" }, "dispach is no option of a pair"],
        ["softc:pcap", "pcap", { file: "x", speeed: 2 }, "speeed is 2, wanted no such option"],
        ["softc:tap", "tap", { devise: "x" }, "devise: no such option"],
        ["softc:link", "link", { delai: 1 }, "delai is no option of a link"],
      ] as const
    ) {
      await k.modules.load(module);
      const e = await assertRejects(() => ifCloneCreate(k.vnet0, cloner, { options }), SoftcError);
      assertEquals(e.code, "SOFTC_DRIVER_OPTIONS");
      assertStringIncludes(e.message, says);
    }
  });
});

Deno.test("a schema of zod gives the options their defaults when none are given, and its issues name the option", async () => {
  await withCleanKernel({}, async ({ k }) => {
    await k.modules.load(plugin("zodded"));
    const mtu = async (o: object): Promise<number> =>
      (await ifCloneCreate(k.vnet0, "zodded", o))[0].toJSON().mtu;
    assertEquals([await mtu({}), await mtu({ options: { buffer: 600 } })], [1500, 600]);
    for (
      const [options, says] of [[{ buffer: "x" }, "buffer: Invalid"], [{ bufer: 1 }, '"bufer"']] as const
    ) {
      const e = await assertRejects(() => ifCloneCreate(k.vnet0, "zodded", { options }), SoftcError);
      assertEquals(e.code, "SOFTC_DRIVER_OPTIONS");
      assertStringIncludes(e.message, says);
    }
  });
});
