/**
 * The pcap driver: an Ethernet interface that receives what a capture file recorded. What is sent is gone.
 *
 * The whole file is read and checked in attach, so a bad one makes no interface. Everything runs on the home
 * CPU: the replay needs no lock and no shared word.
 *
 * @module
 */
import type { Stats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { defineDriver, type Driver, SoftcError, type StandardSchema } from "../../core/device/mod.ts";
import { type Capture, LINKTYPE_ETHERNET } from "./format.ts";
import { readCapture } from "./reader.ts";
import { type Recorded, Replay } from "./_replay.ts";

/** Options of a replay. */
export interface PcapOptions {
  /** The capture: pcap or pcapng, by path or `file:` URL. */
  readonly file: string | URL;
  /** 1 as recorded, which is the default; 2 twice as fast; 0 or `"full"` as fast as it is taken. */
  readonly speed?: number | "full";
  /** How often it is played, `true` until the interface goes down; once unless told. */
  readonly loop?: number | true;
  /** Plays only what was recorded on the interface of this name; all unless told. Must be Ethernet. */
  readonly interface?: string;
}

const options: StandardSchema<PcapOptions> = {
  "~standard": {
    version: 1,
    vendor: "softc",
    validate(value) {
      const o = (value ?? {}) as PcapOptions;
      const { file, speed = 1, loop = 1, interface: on, ...others } = o;
      const issue = (name: string, is: unknown, wanted: string) => ({
        issues: [{ message: `${name} is ${String(is)}, wanted ${wanted}`, path: [name] }],
      });
      const named = file instanceof URL ? file.protocol === "file:" : typeof file === "string" && file !== "";
      if (!named) return issue("file", file, "a path or file: URL");
      if (speed !== "full" && !(Number.isFinite(speed) && speed >= 0)) {
        return issue("speed", speed, 'a factor, 0 or "full"');
      }
      if (loop !== true && !(Number.isInteger(loop) && loop >= 1)) {
        return issue("loop", loop, "a whole number from 1, or true");
      }
      if (on !== undefined && typeof on !== "string") {
        return issue("interface", on, "the name of a recorded interface");
      }
      for (const [name, value] of Object.entries(others)) return issue(name, value, "no such option");
      return { value: o };
    },
  },
};

async function read(file: string): Promise<Capture> {
  const path = file.startsWith("file:") ? new URL(file) : file;
  const refuse = (state: string, cause?: unknown): never => {
    throw new SoftcError("SOFTC_PCAP_FILE", `Cannot open the capture "${file}"`, {
      state,
      wanted: "a file that can be read",
      cause,
    });
  };
  const what: Stats = await stat(path).catch((e: Error) => refuse(e.message, e));
  // A pipe or a device may never end.
  if (!what.isFile()) refuse(what.isDirectory() ? "a directory" : "not a regular file");
  return readCapture(await readFile(path).catch((e: Error) => refuse(e.message, e)), file);
}

/** The frames to play, in the order of time. @throws {SoftcError} `SOFTC_PCAP_ARGUMENT` */
function select({ interfaces, frames }: Capture, o: PcapOptions): Recorded[] {
  const file = String(o.file);
  const chosen = interfaces.map((i) => o.interface === undefined || i.name === o.interface);
  if (!chosen.includes(true)) {
    throw new SoftcError("SOFTC_PCAP_ARGUMENT", `Cannot replay "${file}": no such interface in it`, {
      state: interfaces.map((i) => i.name).join(", ") || "no interface",
      wanted: o.interface ?? "an interface",
      fix: "name one that it has, or none for all",
    });
  }
  const other = interfaces.find((i, k) => chosen[k] === true && i.linkType !== LINKTYPE_ETHERNET);
  if (other !== undefined) {
    throw new SoftcError("SOFTC_PCAP_ARGUMENT", `Cannot replay "${other.name}" of "${file}"`, {
      state: `link type ${other.linkType}`,
      wanted: `link type ${LINKTYPE_ETHERNET}, Ethernet`,
      fix: "name an interface of it that is Ethernet",
    });
  }
  return frames.filter((f) => chosen[f.interface]).map((f) => ({
    at: f.at,
    bytes: withoutFcs(f.bytes, f.originalLength, interfaces[f.interface]!.fcsLength),
    cut: f.bytes.length < f.originalLength,
  })).sort((x, y) => x.at < y.at ? -1 : x.at > y.at ? 1 : 0);
}

/** A frame check sequence is the wire's: it is left out, as far as it was recorded. */
function withoutFcs(bytes: Uint8Array, originalLength: number, fcsLength: number): Uint8Array {
  return bytes.subarray(0, Math.max(0, Math.min(bytes.length, originalLength - fcsLength)));
}

/**
 * The driver: cloner `pcap`, on one home CPU. Plays while the interface is UP; down is a pause, and UP after the
 * end plays again. Counts `replayed`, `passes`, `toobig` (longer than a packet can be) and `cut` (replayed as
 * far as they were recorded). Create throws `SOFTC_DRIVER_OPTIONS`, `SOFTC_PCAP_FILE` (it cannot be read),
 * `SOFTC_PCAP_BAD` (it breaks its format), `SOFTC_PCAP_ARGUMENT` (no such interface, or not Ethernet).
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate } from "@softc/softc";
 * import { PcapngWriter } from "@softc/softc/drivers/pcap";
 * import { eventually } from "@softc/softc/testing";
 * import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/replay-`);
 * const w = new PcapngWriter();
 * w.frame({ interface: w.addInterface({ name: "eth0" }), at: 0n, bytes: new Uint8Array(60) });
 * writeFileSync(`${folder}/one.pcapng`, w.take());
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:pcap");
 * const options = { file: `${folder}/one.pcapng`, speed: "full" };
 * const [replay] = await ifCloneCreate(kernel.vnet0, "pcap", { options });
 * await replay.up();
 * await eventually("its frame came in", () => replay.counters.ipackets === 1);
 * rmSync(folder, { recursive: true });
 * ```
 */
const pcap: Driver<PcapOptions> = defineDriver({
  name: "pcap",
  api: 1,
  cloner: "pcap",
  options,
  async attach(dev) {
    const { file, speed = 1, loop = 1 } = dev.options;
    const frames = select(await read(String(file)), dev.options);
    dev.ifnet({ type: "ether" });
    dev.link(true);
    return { replay: new Replay(dev, frames, speed === "full" ? 0 : speed, loop === true ? Infinity : loop) };
  },
  set({ replay }, { up }) {
    if (up === true) replay.play();
    if (up === false) replay.pause();
  },
  stop({ replay }) {
    replay.pause();
  },
  transmit: (_sc, batch) => batch.freeAll(),
});
export default pcap;
