/**
 * The arena: one fixed shared buffer with all that two CPUs share, and the plan of where each part lies.
 *
 * `WebAssembly.Memory({ shared })` so that wasm can be added; never growable, because a length-tracking view
 * costs 20 times a fixed one. Offsets are in 32-bit words. A line is 32 words (two cache lines, because the
 * adjacent-line prefetcher pairs them).
 *
 * @module
 */
import { SoftcError } from "../error.ts";
import { get, set } from "../doors/arena.ts";
import { type Wasm, wasmOn } from "../doors/wasm.ts";

/** Words between two things that different CPUs write. */
export const LINE = 32;

/** Sizes that fix the plan. The same on every CPU of a kernel. */
export interface ArenaConfig {
  /** Size of the buffer in bytes. */
  readonly bytes: number;
  /** CPUs that share it. */
  readonly cpus: number;
  /** Slots of the interface index table; index 0 is never used. */
  readonly ifnets: number;
  /** Slots of the vnet table; id 0 is never used. */
  readonly vnets: number;
  /** Packet buffers; a multiple of {@linkcode MAGAZINE}. */
  readonly mbufs: number;
  /** Sanitizer on: a shadow word per 16 words. */
  readonly debug: boolean;
}

/** Header words of the arena. */
export const HEADER = {
  magic: 0,
  version: 1,
  timeLow: 2,
  timeHigh: 3,
  timeVersion: 4,
  WORDS: 2 * LINE,
} as const;
const MAGIC = 0x736f6674;

/** A CPU's lines: the epoch record alone on its line, then the bell with the sleep flag and the park word. */
export const CPU = { record: 0, bell: LINE, asleep: LINE + 1, parked: LINE + 2, WORDS: 2 * LINE } as const;

/** One direction of a CPU's mailbox: indices on lines of their own, then entries of 8 words. */
export const MAILBOX = {
  tail: 0,
  head: LINE,
  entries: 2 * LINE,
  ENTRIES: 64,
  ENTRY: 8,
  WORDS: 2 * LINE + 64 * 8,
} as const;

/** An async section's record: the sequence, who opened it and when (milliseconds), the opener's name in UTF-8. */
export const ASYNC = {
  record: 0,
  cpu: 1,
  openedAt: 2,
  vnet: 3,
  name: 4,
  NAME_BYTES: 48,
  WORDS: LINE,
  RECORDS: 64,
} as const;

/** A slot of the interface table. The first 16 words are what the data path reads. */
export const IFNET = {
  gencnt: 0,
  state: 1,
  vnet: 2,
  flags: 3,
  mtu: 4,
  queues: 5,
  home: 6,
  rings: 7,
  dispatch: 8,
  type: 9,
  link: 10,
  xconnect: 11,
  xconnectGen: 12,
  taps: 13,
  caps: 14,
  refs: 16,
  born: 17,
  wanted: 18,
  macHigh: 19,
  macLow: 20,
  homeVnet: 21,
  ringSize: 22,
  afdata: 24,
  AFDATA: 4,
  WORDS: LINE,
} as const;

/** A slot of the vnet table: what the data path reads of a vnet. From `inet` on, the words of its IP stack. */
export const VNET = { state: 0, sockets: 1, generation: 2, inet: 4, WORDS: 16 } as const;

/** Header words of an mbuf. `owner` 0 = free; `csum`: csum.ts. */
export const MBUF = {
  owner: 0,
  len: 1,
  off: 2,
  next: 3,
  rcvIndex: 4,
  rcvGen: 5,
  csum: 6,
  flow: 7,
  WORDS: 8,
} as const;

/** Bytes of a cluster, and where a packet starts in a new one (room to prepend headers). */
export const CLUSTER = 2048;
/** Offset at which a new packet starts. */
export const HEADROOM = 64;

/** Mbufs per magazine: what one exchange with the depot moves. */
export const MAGAZINE = 64;
/** Words of a magazine: its ids, then the link to the next. */
export const MAGAZINE_WORDS = MAGAZINE + 8;

/** Doubles that each CPU counts in: lives and drops. */
export const CPU_COUNTERS = 64;
/** Doubles that each CPU keeps per interface. */
export const IF_COUNTERS = 8;

/** Entries of a ring between two CPUs' input. */
export const INPUT_RING = 1024;
/** Words of a ring with `entries` (id, stamp) pairs: see ring.ts. */
export function ringWords(entries: number): number {
  return 2 * LINE + 2 * entries;
}

/** Word offsets of the parts. */
export interface ArenaPlan {
  /** What it was laid out for. */
  readonly config: ArenaConfig;
  /** CPU lines. */
  readonly cpu: number;
  /** Records of async sections. */
  readonly async: number;
  /** Mailboxes. */
  readonly mailbox: number;
  /** Input rings between CPUs. */
  readonly inputRings: number;
  /** Interface slots. */
  readonly ifnet: number;
  /** Vnet slots. */
  readonly vnet: number;
  /** Interface counters, each CPU's own. */
  readonly ifCounters: number;
  /** CPU counters. */
  readonly cpuCounters: number;
  /** Heads of the two stacks of magazines. */
  readonly depot: number;
  /** Magazines. */
  readonly magazines: number;
  /** How many magazines. */
  readonly magazineCount: number;
  /** Mbuf headers. */
  readonly mbuf: number;
  /** What the heap gives out. */
  readonly heap: number;
  /** Shadow words of the sanitizer; debug only. */
  readonly shadow: number;
  /** Debug only: a word per mbuf, who freed it last. */
  readonly mbufNotes: number;
  /** Word where clusters begin; its byte offset is `data * 4`. */
  readonly data: number;
  /** Words in all. */
  readonly words: number;
}

/** Words of the granule that the heap gives out and the shadow covers. */
export const GRANULE = 16;

/** Lays the parts out; refuses an arena that is too small, naming what would fit. */
export function planArena(config: ArenaConfig): ArenaPlan {
  const { cpus, ifnets, vnets, mbufs, debug } = config;
  let at: number = HEADER.WORDS;
  const part = (words: number): number => {
    const start = at;
    at += Math.ceil(words / LINE) * LINE;
    return start;
  };
  const cpu = part(cpus * CPU.WORDS);
  const async = part(ASYNC.RECORDS * ASYNC.WORDS);
  const mailbox = part(cpus * 2 * MAILBOX.WORDS);
  const inputRings = part(cpus * cpus * ringWords(INPUT_RING));
  const vnet = part(vnets * VNET.WORDS);
  const ifnet = part(ifnets * IFNET.WORDS);
  const ifCounters = part(cpus * ifnets * IF_COUNTERS * 2);
  const cpuCounters = part(cpus * CPU_COUNTERS * 2);
  const depot = part(2 * LINE);
  const magazineCount = mbufs / MAGAZINE + 16 * cpus;
  const magazines = part(magazineCount * MAGAZINE_WORDS);
  const mbuf = part(mbufs * MBUF.WORDS);
  const words = Math.floor(config.bytes / 65536) * 16384;
  const data = words - mbufs * (CLUSTER / 4);
  const shadow = part(debug ? data / GRANULE : 0);
  const mbufNotes = part(debug ? mbufs : 0);
  const heap = at;
  if (data - heap < 4096) {
    throw new SoftcError("SOFTC_BOOT_ARGUMENT", `Cannot lay out an arena of ${config.bytes} bytes`, {
      state: `${
        (heap + 4096) * 4 + mbufs * CLUSTER
      } bytes needed for ${ifnets} ifnets, ${mbufs} mbufs, ${cpus} CPUs`,
      fix: "boot with a larger arena, fewer ifnets or fewer mbufs",
    });
  }
  return {
    config,
    cpu,
    async,
    mailbox,
    inputRings,
    ifnet,
    vnet,
    ifCounters,
    cpuCounters,
    depot,
    magazines,
    magazineCount,
    mbuf,
    heap,
    shadow,
    mbufNotes,
    data,
    words,
  };
}

/** The arena as one CPU sees it: three views of the one buffer, and the plan. */
export class Arena {
  /** All control words. */
  readonly a: Int32Array;
  /** Counters: each written by one CPU, read by any. */
  readonly f: Float64Array;
  /** Packet bytes. */
  readonly u8: Uint8Array;
  /** The same eight at a time: the fastest way to write a short frame. */
  readonly q: BigInt64Array;
  /** Atomics that cost less, for what runs once per batch. */
  readonly wasm: Wasm | undefined;
  /** Where each part lies. */
  readonly plan: ArenaPlan;

  /** Views of a buffer that exists. */
  constructor(readonly memory: WebAssembly.Memory, config: ArenaConfig) {
    this.plan = planArena(config);
    this.a = new Int32Array(memory.buffer, 0, this.plan.words);
    this.f = new Float64Array(memory.buffer, 0, this.plan.words >> 1);
    this.u8 = new Uint8Array(memory.buffer, 0, this.plan.words * 4);
    this.q = new BigInt64Array(memory.buffer, 0, this.plan.words >> 1);
    this.wasm = wasmOn(memory);
  }

  /** Makes a new, empty arena. */
  static create(config: ArenaConfig): Arena {
    const pages = Math.floor(config.bytes / 65536);
    const arena = new Arena(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }), config);
    set(arena.a, HEADER.magic, MAGIC);
    set(arena.a, HEADER.version, 1);
    return arena;
  }

  /** Opens the arena that CPU 0 made, on another CPU. */
  static open(memory: WebAssembly.Memory, config: ArenaConfig): Arena {
    const arena = new Arena(memory, config);
    if (get(arena.a, HEADER.magic) !== MAGIC) {
      throw new SoftcError("SOFTC_BOOT_CPU", "Cannot open the arena: wrong magic word");
    }
    return arena;
  }

  /** Word offset of CPU `k`'s lines. */
  cpuAt(k: number): number {
    return this.plan.cpu + k * CPU.WORDS;
  }

  /** Word offset of interface slot `index`. */
  ifnetAt(index: number): number {
    return this.plan.ifnet + index * IFNET.WORDS;
  }

  /** Word offset of vnet slot `id`. */
  vnetAt(id: number): number {
    return this.plan.vnet + id * VNET.WORDS;
  }

  /** Index into `f` of the counters of interface `index` on CPU `k`. */
  ifCountersAt(k: number, index: number): number {
    return (this.plan.ifCounters >> 1) + (k * this.plan.config.ifnets + index) * IF_COUNTERS;
  }

  /** Index into `f` of CPU `k`'s own counters. */
  cpuCountersAt(k: number): number {
    return (this.plan.cpuCounters >> 1) + k * CPU_COUNTERS;
  }

  /** Word offset of the input ring from CPU `from` to CPU `to`. */
  inputRingAt(from: number, to: number): number {
    return this.plan.inputRings + (to * this.plan.config.cpus + from) * ringWords(INPUT_RING);
  }
}
