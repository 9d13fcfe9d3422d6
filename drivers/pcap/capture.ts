/**
 * Records interfaces into a pcapng file: on CPU 0, from their taps.
 *
 * @module
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { type Ifnet, SoftcError } from "../../core/device/mod.ts";
import { LINKTYPE_ETHERNET } from "./format.ts";
import { type FrameRecord, PcapngWriter } from "./writer.ts";

/** Options of a recording. */
export interface CaptureOptions {
  /** Bytes kept of each frame; 1984, which is all, unless told. */
  readonly snap?: number;
  /** The program (shb_userappl) that tools show as the file's writer; softc unless told. */
  readonly application?: string;
}

/** A recording that runs. */
export interface CaptureFile {
  /** Frames recorded so far. */
  readonly frames: number;
  /** Frames so far that found no room on their way to the file; the file says where. */
  readonly missed: number;
  /** Ends the recording: what the taps still hold, statistics of each interface, then the file is closed. Idempotent. @throws {SoftcError} `SOFTC_PCAP_FILE` when writing failed */
  close(): Promise<void>;
}

/** Bytes that collect before they are written. */
const CHUNK = 1 << 16;

/**
 * Records what interfaces receive and send, with direction, until it is closed. What an interface drops is
 * recorded with the reason, after its record as sent or received if it got that far. An interface that moves to
 * another vnet or goes is recorded up to then.
 *
 * The statistics at the end of the file are the interfaces' own counters, so they count each packet once.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifOutput, ifunit, mAlloc } from "@softc/softc";
 * import { captureTo, readCapture } from "@softc/softc/drivers/pcap";
 * import { mkdtempSync, readFileSync, rmSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/lab-`);
 * await using kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [nul] = await ifCloneCreate(kernel.vnet0, "null");
 * await nul.up();
 * const file = captureTo(`${folder}/lab.pcapng`, [nul]);
 * kernel.vnet0.section((s) => void ifOutput(s, ifunit(s, nul.name)!, mAlloc(s, 3, 60)));
 * await file.close();
 * console.log(readCapture(readFileSync(`${folder}/lab.pcapng`), "lab.pcapng").frames.length); // 3
 * rmSync(folder, { recursive: true });
 * ```
 * @throws {SoftcError} `SOFTC_PCAP_FILE` when the file cannot be made, `SOFTC_PCAP_ARGUMENT`, `SOFTC_IF_GONE`
 */
export function captureTo(path: string | URL, ifnets: readonly Ifnet[], o: CaptureOptions = {}): CaptureFile {
  if (ifnets.length === 0 || new Set(ifnets).size < ifnets.length) {
    throw new SoftcError("SOFTC_PCAP_ARGUMENT", `Cannot record into "${String(path)}"`, {
      state: ifnets.length === 0 ? "no interfaces" : "an interface twice",
      wanted: "each interface once",
      fix: "pass the interfaces to record",
    });
  }
  return new Recording(path, ifnets, o);
}

class Recording implements CaptureFile {
  readonly #writer: PcapngWriter;
  readonly #ifnets: readonly Ifnet[];
  readonly #path: string;
  readonly #fd: number;
  readonly #taps: ReturnType<Ifnet["tap"]>[] = [];
  /** What each interface had counted at the start, and what its tap had missed at the last frame. */
  readonly #before: { received: number; dropped: number }[] = [];
  readonly #lost: number[] = [];
  #frames = 0;
  #failure: Error | undefined;
  #closed: Promise<void> | undefined;

  constructor(path: string | URL, ifnets: readonly Ifnet[], o: CaptureOptions) {
    this.#writer = new PcapngWriter(o.application);
    this.#ifnets = ifnets;
    this.#path = String(path);
    try {
      this.#fd = openSync(path, "w");
    } catch (cause) {
      throw new SoftcError("SOFTC_PCAP_FILE", `Cannot make the capture "${this.#path}"`, {
        state: (cause as Error).message,
        wanted: "a file that can be written",
        cause,
      });
    }
    try {
      ifnets.forEach((i, id) => this.#add(i, id, o.snap));
    } catch (e) {
      for (const tap of this.#taps) void tap.close();
      closeSync(this.#fd);
      throw e;
    }
  }

  get frames(): number {
    return this.#frames;
  }

  get missed(): number {
    return this.#taps.reduce((n, tap) => n + tap.missed, 0);
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  #add(i: Ifnet, id: number, snap: number | undefined): void {
    this.#writer.addInterface({
      name: i.name,
      linkType: LINKTYPE_ETHERNET,
      description: `vnet ${i.vnet.name}`,
      ...(snap === undefined ? {} : { snapLength: snap }),
    });
    this.#before.push(counted(i));
    this.#lost.push(0);
    this.#taps.push(i.tap({
      ...(snap === undefined ? {} : { snap }),
      drops: true,
      onPacket: ({ bytes, length, direction, dropped }) =>
        this.#record({
          interface: id,
          at: now(),
          bytes,
          originalLength: length,
          direction,
          lost: this.#lostBefore(id),
          ...(dropped === undefined ? {} : { dropReason: dropped }),
        }),
    }));
  }

  /** Frames that the tap missed since the frame before. */
  #lostBefore(id: number): number {
    const missed = this.#taps[id]!.missed;
    const lost = missed - this.#lost[id]!;
    this.#lost[id] = missed;
    return lost;
  }

  #record(frame: FrameRecord): void {
    if (this.#failure !== undefined) return;
    this.#writer.frame(frame);
    this.#frames++;
    if (this.#writer.pending >= CHUNK) this.#flush();
  }

  /** A write may take less than it was given. One that fails (disk full) ends the recording; close tells. */
  #flush(): void {
    let rest = this.#writer.take();
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest));
    } catch (e) {
      this.#failure = e as Error;
    }
  }

  async #close(): Promise<void> {
    try {
      await Promise.all(this.#taps.map((tap) => tap.close()));
      this.#ifnets.forEach((i, id) => {
        const { received, dropped } = counted(i);
        this.#writer.statistics(id, now(), {
          received: BigInt(received - this.#before[id]!.received),
          dropped: BigInt(dropped - this.#before[id]!.dropped),
        });
      });
      this.#flush();
    } finally {
      closeSync(this.#fd);
    }
    if (this.#failure !== undefined) {
      throw new SoftcError("SOFTC_PCAP_FILE", `Cannot write the capture "${this.#path}"`, {
        state: this.#failure.message,
        wanted: "a file that can be written",
        cause: this.#failure,
      });
    }
  }
}

/** Packets that went through or were dropped at an interface so far. */
function counted(i: Ifnet): { received: number; dropped: number } {
  const { ipackets, opackets, iqdrops, oqdrops } = i.counters;
  return { received: ipackets + opackets, dropped: iqdrops + oqdrops };
}

/** Nanoseconds since 1970, to the microsecond. */
function now(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
}
