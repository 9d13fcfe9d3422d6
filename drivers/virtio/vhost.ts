/**
 * vhost: the software virtio-net device, strict. Its interface is the host's end of the link: what the driver
 * sends comes in here, what is sent here comes in at the driver. It may run on any CPU.
 *
 * Plug the driver's end in with `kernel.devices.plug({ bus: "virtio", device: 1, address: ... }, { parent })`.
 *
 * @module
 */
import {
  type Batch,
  defineDriver,
  type Dev,
  type Driver,
  isPartial,
  partialCsum,
  type StandardSchema,
  struct,
} from "../../core/device/mod.ts";
import { DeviceQueue } from "./device_queue.ts";
import { CTRL, type Feature, Features, HEADER, STATUS } from "./spec.ts";
import { WINDOW, WINDOW_ENTRIES, WINDOW_PAIRS, WINDOW_QUEUES, writeConfig } from "./window.ts";

/** Options of the device. */
export interface VhostOptions {
  /** Queue pairs that it has, 1 to 4; 1 unless told. */
  readonly pairs?: number;
  /** MTU in bytes that it tells the driver; 1500 unless told. */
  readonly mtu?: number;
  /** Features that it does not offer; none unless told. */
  readonly without?: readonly Feature[];
  /** For tests of drivers: asks for a reset after so many packets, once; never unless told. */
  readonly breakAfter?: number;
}

const BUDGET = 64;
const MIN_FRAME = 14;
const ROOM = 1984;

class VirtioDevice {
  readonly queues: (DeviceQueue | undefined)[] = [];
  readonly window: number;
  readonly #kickAgain;
  readonly #later;
  readonly offer: Features;
  readonly options: VhostOptions;
  accepted = new Features(0, 0);
  status = 0;
  activePairs = 1;
  handled = 0;
  up = false;
  promisc = false;
  readonly #heads = new Int32Array(WINDOW_ENTRIES);
  readonly #bytes = new Int32Array(WINDOW_ENTRIES);

  constructor(readonly dev: Dev<VhostOptions | undefined>) {
    this.window = dev.window;
    this.options = dev.options ?? {};
    this.offer = Features.known.without(...this.options.without ?? []);
    this.#kickAgain = dev.interrupt(() => this.poll());
    this.#later = dev.timer(() => this.poll());
    this.#set(WINDOW.offerLow, this.offer.low);
    this.#set(WINDOW.offerHigh, this.offer.high);
    this.#set(WINDOW.queues, 2 * this.pairs + (this.offer.has("CTRL_VQ") ? 1 : 0));
    this.#set(WINDOW.entries, WINDOW_ENTRIES);
    this.#set(WINDOW.cpu, dev.cpu);
    this.#config();
    for (let i = 0; i < WINDOW_QUEUES; i++) dev.listen(this.#bell(WINDOW.toDevice, i), () => this.#kicked(i));
    dev.listen(this.#bell(WINDOW.toDevice, WINDOW_QUEUES), () => this.#asked());
    this.#set(WINDOW.magic, WINDOW.MAGIC);
    dev.dma.store(this.window + WINDOW.alive, 1);
  }

  get pairs(): number {
    return Math.max(1, Math.min(this.options.pairs ?? 1, WINDOW_PAIRS));
  }

  get running(): boolean {
    return (this.status & (STATUS.DRIVER_OK | STATUS.NEEDS_RESET)) === STATUS.DRIVER_OK;
  }

  /** The link follows the UP flag of this end. */
  setUp(up: boolean): void {
    this.up = up;
    this.#config();
    this.#interruptConfig();
  }

  /** It touches nothing any more: what waits for an ack gets it. */
  stop(): void {
    this.status = 0;
    this.queues.length = 0;
    this.dev.dma.store(this.window + WINDOW.alive, 0);
    this.#interruptConfig();
  }

  /** From the driver: takes up what waits in every transmit queue. */
  poll(): void {
    for (let k = 0; k < this.activePairs; k++) this.#receive(2 * k + 1);
  }

  /** To the driver: returns how many packets found buffers. */
  transmit(b: Batch, queue: number): number {
    const n = b.length;
    const index = 2 * (queue % this.activePairs);
    const q = this.queues[index];
    if (!this.running || q === undefined) {
      // Nobody is at the other end.
      for (let i = 0; i < n; i++) this.dev.free(b.take(i));
      return n;
    }
    let sent = 0;
    while (sent < n) {
      const done = this.#fill(q, b, sent);
      if (done) sent++;
      // No buffers: the driver kicks when it has posted some.
      else if (q.broken || !q.enable()) break;
    }
    if (q.publish()) this.#interrupt(index);
    if (sent === n) q.disable();
    return q.broken ? n : sent;
  }

  /** Writes one packet into as many buffers as it needs; false when there are too few. */
  #fill(q: DeviceQueue, b: Batch, i: number): boolean {
    const { dma } = this.dev;
    const merge = this.accepted.has("MRG_RXBUF");
    const need = b.len(i) + HEADER.BYTES;
    if (!this.accepted.has("GUEST_CSUM")) b.finishCsum(i);
    const csum = b.csum(i);
    const m = b.take(i);
    const from = this.dev.address(m);
    let chains = 0;
    let done = 0;
    let header = 0;
    while (done < need && (chains === 0 || merge)) {
      const head = q.next();
      if (head < 0) break;
      if (q.readable > 0) {
        this.#mistake("a readable part in a receive buffer");
        break;
      }
      const before = done;
      for (let p = 0; p < q.parts && done < need; p++) {
        const at = q.at[p]!;
        const part = Math.min(q.len[p]!, need - done);
        let skip = 0;
        if (done === 0) {
          if (part < HEADER.BYTES) {
            this.#mistake(`a receive buffer of ${part} bytes holds no header`);
            break;
          }
          header = at;
          dma.u8.fill(0, at, at + HEADER.BYTES);
          skip = HEADER.BYTES;
        }
        dma.copy(from + done + skip - HEADER.BYTES, at + skip, part - skip);
        done += part;
      }
      this.#heads[chains] = head;
      this.#bytes[chains++] = done - before;
    }
    if (done < need && !q.broken && this.running && merge) {
      for (let k = chains - 1; k >= 0; k--) q.unread(this.#heads[k]!);
      // Not taken after all: the batch gets it back.
      b.untake(i, m);
      return false;
    }
    if (done >= need) {
      dma.u8[header + HEADER.numBuffers] = chains & 255;
      dma.u8[header + HEADER.numBuffers + 1] = chains >> 8;
      if (isPartial(csum)) this.#putCsum(header, csum);
    }
    if (chains === 0) {
      b.untake(i, m);
      return false;
    }
    for (let k = 0; k < chains; k++) q.complete(this.#heads[k]!, done >= need ? this.#bytes[k]! : 0);
    if (done >= need) this.dev.txDone(m);
    else {
      this.dev.count("too_small");
      this.dev.free(m);
    }
    return true;
  }

  #receive(index: number): void {
    const q = this.queues[index];
    if (!this.running || q === undefined) return;
    const { dma } = this.dev;
    const want = Math.min(BUDGET, q.waiting);
    const fresh = this.dev.alloc(want);
    const b = this.dev.gather();
    let i = 0;
    for (; i < fresh.length; i++) {
      const head = q.next();
      if (head < 0) break;
      const m = fresh.take(i);
      const to = this.dev.address(m);
      const len = this.#copyOut(q, to);
      if (len < MIN_FRAME) {
        this.#mistake(len < 0 ? "a writable part in a packet to send" : `a packet of ${len} bytes`);
        this.dev.free(m);
        break;
      }
      const partial = (dma.u8[q.at[0]!]! & HEADER.NEEDS_CSUM) !== 0;
      if (partial && !this.accepted.has("CSUM")) {
        this.#mistake("a partial checksum that was not negotiated");
        this.dev.free(m);
        break;
      }
      if (len <= ROOM) b.put(m, len);
      if (len > ROOM || partial && !b.setCsum(b.length - 1, this.#csumOf(q))) {
        this.dev.count("tx_bad");
        this.dev.free(len > ROOM ? m : b.take(b.length - 1));
      }
      q.complete(head, 0);
    }
    fresh.freeAll();
    if (q.publish()) this.#interrupt(index);
    this.handled += b.length;
    if (b.length > 0) this.dev.ifInput(b);
    if (this.options.breakAfter !== undefined && this.handled >= this.options.breakAfter && this.running) {
      this.handled = -Infinity;
      this.#needsReset();
    }
    if (want > fresh.length) this.#later.set(1);
    else if (want === BUDGET || q.enable()) this.#kickAgain.ring();
  }

  /** The partial checksum of the packet that was read; its header may lie in several parts. */
  #csumOf(q: DeviceQueue): number {
    const byte = (k: number): number => {
      for (let p = 0; p < q.parts; k -= q.len[p++]!) if (k < q.len[p]!) return this.dev.dma.u8[q.at[p]! + k]!;
      return 0;
    };
    const u16 = (k: number): number => byte(k) | byte(k + 1) << 8;
    return partialCsum(u16(HEADER.csumStart), u16(HEADER.csumOffset));
  }

  #putCsum(header: number, csum: number): void {
    const { u8 } = this.dev.dma;
    u8[header + HEADER.flags] = HEADER.NEEDS_CSUM;
    u8.set([csum >>> 16 & 255, csum >>> 24, csum & 255, csum >>> 8 & 255], header + HEADER.csumStart);
  }

  /** Copies a packet without its header; its length, or -1 when a part is writable. */
  #copyOut(q: DeviceQueue, to: number): number {
    if (q.readable !== q.parts) return -1;
    let seen = 0;
    for (let p = 0; p < q.parts; p++) {
      const skip = Math.max(0, Math.min(q.len[p]!, HEADER.BYTES - seen));
      const part = q.len[p]! - skip;
      const done = seen + skip - HEADER.BYTES;
      if (done + part > ROOM) return ROOM + 1;
      if (part > 0) this.dev.dma.copy(q.at[p]! + skip, to + done, part);
      seen += q.len[p]!;
    }
    return seen - HEADER.BYTES;
  }

  #kicked(index: number): void {
    if (index === 2 * this.pairs) this.#command();
    else if (index % 2 === 1) this.#receive(index);
    else for (let queue = index / 2; queue < WINDOW_PAIRS; queue += this.activePairs) this.dev.txWake(queue);
  }

  /** The control queue. */
  #command(): void {
    const q = this.queues[2 * this.pairs];
    if (!this.running || q === undefined) return;
    do {
      for (let head = q.next(); head >= 0; head = q.next()) {
        const bytes: number[] = [];
        for (let p = 0; p < q.readable; p++) {
          for (let k = 0; k < q.len[p]! && bytes.length < 64; k++) bytes.push(this.dev.dma.u8[q.at[p]! + k]!);
        }
        if (q.readable === q.parts) {
          this.#mistake("a command without room for its answer");
          return;
        }
        this.dev.dma.u8[q.at[q.readable]!] = this.#execute(bytes) ? CTRL.OK : CTRL.ERR;
        q.complete(head, 1);
      }
    } while (q.enable());
    if (q.publish()) this.#interruptConfig();
  }

  #execute([cls, cmd, ...data]: number[]): boolean {
    if (cls === CTRL.RX && cmd === CTRL.RX_PROMISC && data.length === 1) {
      this.promisc = data[0] === 1;
      return true;
    }
    if (cls === CTRL.RX && cmd === CTRL.RX_ALLMULTI && data.length === 1) return true;
    if (cls !== CTRL.MQ || cmd !== CTRL.MQ_PAIRS_SET || data.length !== 2) return false;
    const pairs = data[0]! | data[1]! << 8;
    if (!(pairs >= 1 && pairs <= this.pairs)) return false;
    this.activePairs = pairs;
    return true;
  }

  /** The driver asks for a status. */
  #asked(): void {
    const { dma } = this.dev;
    const asked = dma.load(this.window + WINDOW.asked);
    const wanted = this.#get(WINDOW.wanted);
    if (wanted === 0) this.#reset();
    else if ((this.status & ~wanted & ~STATUS.NEEDS_RESET) !== 0) {
      this.#mistake(`status ${wanted} clears bits of ${this.status}`);
    } else {
      let status = wanted | this.status;
      if ((wanted & STATUS.FEATURES_OK) !== 0 && (this.status & STATUS.FEATURES_OK) === 0 && !this.#agree()) {
        status &= ~STATUS.FEATURES_OK;
      }
      const starts = (status & ~this.status & STATUS.DRIVER_OK) !== 0;
      this.status = status;
      if (starts) this.#start();
    }
    this.#set(WINDOW.status, this.status);
    dma.store(this.window + WINDOW.answered, asked);
    this.#interruptConfig();
  }

  #agree(): boolean {
    const f = new Features(this.#get(WINDOW.acceptLow), this.#get(WINDOW.acceptHigh));
    this.accepted = f;
    return f.and(this.offer).equals(f) && f.has("VERSION_1") && (!f.has("MQ") || f.has("CTRL_VQ"));
  }

  #start(): void {
    if ((this.status & STATUS.FEATURES_OK) === 0) return this.#mistake("DRIVER_OK without FEATURES_OK");
    const { dma } = this.dev;
    for (let i = 0; i <= 2 * this.pairs; i++) {
      const at = WINDOW.queue + i * WINDOW.QUEUE_BYTES;
      const [n, desc, avail, used] = [0, 4, 8, 12].map((o) => this.#get(at + o)) as [
        number,
        number,
        number,
        number,
      ];
      if (n === 0) continue;
      if (
        n > WINDOW_ENTRIES || (n & (n - 1)) !== 0 || (desc & 15) !== 0 || (avail & 1) !== 0 ||
        (used & 3) !== 0
      ) {
        return this.#mistake(`queue ${i} has ${n} entries at ${desc}, ${avail}, ${used}`);
      }
      this.queues[i] = new DeviceQueue(dma, n, desc, avail, used, {
        eventIdx: this.accepted.has("EVENT_IDX"),
        indirect: this.accepted.has("INDIRECT"),
        valid: (a, len) => a > 0 && a + len <= dma.size,
        mistake: (what) => this.#mistake(`queue ${i}: ${what}`),
      });
    }
    this.poll();
    for (let queue = 0; queue < WINDOW_PAIRS; queue++) this.dev.txWake(queue);
  }

  #reset(): void {
    this.status = 0;
    this.activePairs = 1;
    this.queues.length = 0;
    for (let i = 0; i < WINDOW_QUEUES; i++) this.#set(WINDOW.queue + i * WINDOW.QUEUE_BYTES, 0);
  }

  #mistake(what: string): void {
    this.dev.count("mistakes");
    this.dev.log.warn(`the driver's mistake: ${what}`);
    this.#needsReset();
  }

  #needsReset(): void {
    this.status |= STATUS.NEEDS_RESET;
    this.dev.dma.store(this.window + WINDOW.status, this.status);
    this.#interruptConfig();
  }

  #config(): void {
    const { pairs, up, options, window } = this;
    writeConfig(this.dev.dma, window, {
      mac: Uint8Array.of(0x02, 0x76, 0x68, window >>> 16, window >>> 8, window >>> 6 & 255),
      linkUp: up,
      pairs,
      mtu: options.mtu ?? 1500,
    });
  }

  #interrupt(index: number): void {
    this.dev.kick(
      this.#get(WINDOW.queue + index * WINDOW.QUEUE_BYTES + 16),
      this.#bell(WINDOW.toDriver, index),
    );
  }
  #interruptConfig(): void {
    this.dev.kick(this.#get(WINDOW.driverCpu), this.#bell(WINDOW.toDriver, WINDOW_QUEUES));
  }
  #bell(side: number, i: number): number {
    return this.window + side + 4 * i;
  }
  #get(offset: number): number {
    return this.dev.dma.get(this.window + offset);
  }
  #set(offset: number, value: number): void {
    this.dev.dma.set(this.window + offset, value);
  }
}

const options: StandardSchema<VhostOptions> = {
  "~standard": {
    version: 1,
    vendor: "softc",
    validate(value) {
      const o = (value ?? {}) as VhostOptions;
      const pairs = o.pairs ?? 1;
      return Number.isInteger(pairs) && pairs >= 1 && pairs <= WINDOW_PAIRS
        ? { value: o }
        : { issues: [{ message: `pairs is ${pairs}, wanted 1 to ${WINDOW_PAIRS}` }] };
    },
  },
};

/** The driver: cloner `vhost`. */
export const vhost: Driver<VhostOptions> = defineDriver({
  name: "vhost",
  api: 1,
  cloner: "vhost",
  queues: WINDOW_PAIRS,
  options,
  shared: struct({ window: ["i32", WINDOW.BYTES >> 2] }),
  attach(dev: Dev<VhostOptions, { window: readonly ["i32", number] }>) {
    dev.ifnet({ type: "ether", queues: dev.options?.pairs ?? 1, capabilities: ["txcsum"] });
    dev.link(true);
    return new VirtioDevice(dev as unknown as Dev<VhostOptions | undefined>);
  },
  set: (sc, change) => change.up === undefined ? undefined : sc.setUp(change.up),
  transmit: (sc, b: Batch, queue) => sc.transmit(b, queue),
  stop: (sc) => sc.stop(),
});
