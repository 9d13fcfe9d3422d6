/**
 * cdc: the driver proper for USB network adapters, CDC-NCM and CDC-ECM.
 *
 * Packets are copied into transfers, so an unplug with transfers in flight leaves no packet behind: each
 * transfer completes exactly once (transfer.ts), and the softc goes when all have.
 *
 * @module
 */
import {
  type Batch,
  defineDriver,
  type Dev,
  type DeviceId,
  type Driver,
  SoftcError,
} from "../../core/device/mod.ts";
import {
  type CdcFunction,
  type Configuration,
  findFunction,
  parseConfiguration,
  parseMac,
  parseString,
  USB,
} from "./descriptors.ts";
import { type BlockLimits, BlockWriter, parseLimits, readBlock } from "./ncm.ts";
import { Transfer, UsbError, type UsbPort } from "./transfer.ts";

const RX_TRANSFERS = 4;
const TX_TRANSFERS = 8;
const BLOCK_MAX = 16384;
const FRAME_MAX = 1984;
const PIECE = 64;
/** Failures in a row after which an endpoint is left alone for RETRY ms. */
const PATIENCE = 3;
const RETRY = 100;
/** Directed, broadcast and multicast packets; promiscuous. */
const FILTER = { normal: 0x0e, promisc: 0x0f };

/** Reads a device's configurations, all of them: the first may be for somebody else. */
async function configurations(port: UsbPort, count: number): Promise<Configuration[]> {
  const found: Configuration[] = [];
  for (let i = 0; i < Math.min(count, 8); i++) {
    const read = (length: number): Promise<Uint8Array> =>
      port.control({
        type: 0x80,
        request: USB.GET_DESCRIPTOR,
        value: USB.CONFIGURATION << 8 | i,
        index: 0,
        length,
      });
    const head = await read(9);
    const total = head.length < 4 ? 0 : head[2]! | head[3]! << 8;
    found.push(parseConfiguration(await read(Math.min(Math.max(total, 9), 4096))));
  }
  return found;
}

async function string(port: UsbPort, index: number): Promise<string | undefined> {
  if (index === 0) return undefined;
  const setup = {
    type: 0x80,
    request: USB.GET_DESCRIPTOR,
    value: USB.STRING << 8 | index,
    index: 0x409,
    length: 255,
  };
  return parseString(await port.control(setup).catch(() => new Uint8Array(0)));
}

async function functions(
  port: UsbPort,
): Promise<{ device: Uint8Array; all: Configuration[]; best: CdcFunction | undefined }> {
  const device = await port.control({
    type: 0x80,
    request: USB.GET_DESCRIPTOR,
    value: USB.DEVICE << 8,
    index: 0,
    length: 18,
  });
  if (device.length < 18 || device[1] !== USB.DEVICE) throw new UsbError("failed", "its device descriptor");
  const all = await configurations(port, device[17]!);
  const usable = all.map(findFunction).filter((f) => typeof f !== "string");
  return { device, all, best: usable.find((f) => f.kind === "ncm") ?? usable[0] };
}

/**
 * What the bus says of a device on a port, for `kernel.devices.plug`: reads its descriptors. `address` names the port.
 * `class` is bDeviceClass; `cdc` is "ncm" or "ecm" where the driver can use such a function of it, else it is absent.
 *
 * @example
 * ```ts
 * import { SoftNic, SoftPort, usbId } from "@softc/softc/drivers/usb";
 *
 * const nic = new SoftNic({ kind: "ncm", mac: Uint8Array.of(2, 0, 0, 0, 0, 9), serial: "U1" });
 * const id = await usbId(new SoftPort(nic), "1-1");
 * console.log(id.cdc, id.serial); // ncm U1
 * ```
 * @throws {UsbError} when a descriptor of the device or a configuration cannot be read: "gone", "stalled", "failed".
 * A string that cannot be read is left out
 */
export async function usbId(port: UsbPort, address: string): Promise<DeviceId> {
  const { device, best } = await functions(port);
  const serial = await string(port, device[16]!);
  return {
    bus: "usb",
    address,
    vendor: device[8]! | device[9]! << 8,
    product: device[10]! | device[11]! << 8,
    class: device[4]!,
    ...(serial === undefined || serial === "" ? {} : { serial }),
    ...(best === undefined ? {} : { cdc: best.kind }),
  };
}

class Cdc {
  readonly dev: Dev;
  readonly port: UsbPort;
  readonly #f: CdcFunction;
  readonly #limits: BlockLimits | undefined;
  readonly #writer: BlockWriter | undefined;
  readonly #free: Transfer[] = [];
  readonly #all: Transfer[] = [];
  readonly #done: Transfer[] = [];
  readonly #bell;
  readonly #retry;
  /** Transfers that wait for RETRY to be over. */
  readonly #resting: Transfer[] = [];
  #failures = 0;
  #blocked = false;
  #stopping: (() => void) | undefined;
  #stopped = false;

  constructor(dev: Dev, port: UsbPort, f: CdcFunction, limits: BlockLimits | undefined) {
    this.dev = dev;
    this.port = port;
    this.#f = f;
    this.#limits = limits;
    this.#writer = limits === undefined ? undefined : new BlockWriter(limits);
    this.#bell = dev.interrupt(() => this.#completed());
    this.#retry = dev.timer(() => {
      for (const t of this.#resting.splice(0)) this.#submit(t);
    });
    const room = limits?.outSize ?? FRAME_MAX;
    for (let i = 0; i < TX_TRANSFERS; i++) this.#free.push(this.#transfer(f.bulkOut.address, room));
  }

  /** Gives the device transfers to fill. */
  start(): void {
    const { bulkIn, notify } = this.#f;
    const room = this.#limits?.inSize ?? Math.ceil(2048 / bulkIn.maxPacket) * bulkIn.maxPacket;
    for (let i = 0; i < RX_TRANSFERS; i++) this.#submit(this.#transfer(bulkIn.address, room));
    if (notify !== undefined) this.#submit(this.#transfer(notify.address, Math.max(16, notify.maxPacket)));
    else this.dev.link(true);
  }

  transmit(b: Batch): number {
    const n = b.length;
    let sent = 0;
    while (sent < n && this.#free.length > 0 && !this.#stopped) {
      const t = this.#free.pop()!;
      const before = sent;
      sent += this.#pack(t, b, sent);
      if (t.length > 0) this.#submit(t);
      else this.#free.push(t);
      if (sent === before) break;
    }
    // Sticky: what one sender's call finds room for, another's packets may wait for.
    if (sent < n) this.#blocked = true;
    return sent;
  }

  /** Puts packets into a transfer; returns how many. One that is too long for the device is dropped. */
  #pack(t: Transfer, b: Batch, from: number): number {
    const writer = this.#writer;
    t.length = 0;
    let i = from;
    if (writer === undefined) {
      while (i < b.length && b.len(i) > t.buffer.length) this.#tooLong(b, i++);
      if (i < b.length) t.length = b.copyTo(i++, t.buffer, 0);
      return i - from;
    }
    writer.reset();
    for (; i < b.length; i++) {
      const at = b.len(i) > FRAME_MAX ? -1 : writer.place(b.len(i));
      if (at < 0 && writer.frames === 0) this.#tooLong(b, i);
      else if (at < 0) break;
      else b.copyTo(i, t.buffer, at);
    }
    if (writer.frames > 0) t.length = writer.finish(t.buffer);
    return i - from;
  }

  #tooLong(b: Batch, i: number): void {
    this.dev.count("tx_too_long");
    this.dev.free(b.take(i));
  }

  async filter(promisc: boolean): Promise<void> {
    const value = promisc ? FILTER.promisc : FILTER.normal;
    // Optional for a device: one that stalls receives everything.
    await this.port.control({
      type: 0x21,
      request: USB.SET_PACKET_FILTER,
      value,
      index: this.#f.control.number,
    })
      .catch((e: UsbError) => {
        if (e.status !== "stalled") throw e;
      });
  }

  /** Takes every transfer back; resolves when each has completed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#retry.cancel();
    for (const t of this.#all) if (t.pending) this.port.cancel(t);
    if (this.#all.some((t) => t.pending)) await new Promise<void>((resolve) => this.#stopping = resolve);
    if (!this.port.gone) await this.setting(0).catch(() => {});
  }

  /** Chooses the setting of the data interface: 0 stops it. */
  async setting(value: number): Promise<void> {
    await this.port.control({ type: 1, request: USB.SET_INTERFACE, value, index: this.#f.data.number });
  }

  #transfer(endpoint: number, size: number): Transfer {
    // The call comes from the controller, at any time: it is only noted, and taken up in a turn of this CPU.
    const t = new Transfer(endpoint, size, () => {
      this.#done.push(t);
      this.#bell.ring();
      if (!this.#all.some((x) => x.pending)) this.#stopping?.();
    });
    this.#all.push(t);
    return t;
  }

  #submit(t: Transfer): void {
    if (this.#stopped) return;
    this.port.submit(t);
  }

  #completed(): void {
    const b = this.dev.gather();
    for (const t of this.#done.splice(0)) {
      const out = (t.endpoint & USB.IN) === 0;
      if (this.#stopped || t.status === "gone" || t.status === "cancelled") continue;
      if (t.status !== "ok") {
        this.#failed(t);
        continue;
      }
      this.#failures = 0;
      if (out) this.#free.push(t);
      else {
        if (t.endpoint === this.#f.bulkIn.address) this.#received(b, t);
        else this.#notified(t);
        this.#submit(t);
      }
    }
    if (b.length > 0) this.dev.ifInput(b);
    this.#wake();
  }

  #wake(): void {
    if (!this.#blocked || this.#free.length === 0) return;
    this.#blocked = false;
    this.dev.txWake(0);
  }

  /** A stalled endpoint is started again; one that keeps failing is given time. */
  #failed(t: Transfer): void {
    this.dev.count(`transfer_${t.status}`);
    const again = (): void => {
      if ((t.endpoint & USB.IN) === 0) {
        this.#free.push(t);
        this.#wake();
      } else if (++this.#failures > PATIENCE) {
        this.#resting.push(t);
        this.#retry.set(RETRY);
      } else this.#submit(t);
    };
    if (t.status !== "stalled") return again();
    this.dev.task(async () => {
      await this.port.control({ type: 2, request: USB.CLEAR_FEATURE, value: 0, index: t.endpoint }).catch(
        () => {},
      );
      if (!this.#stopped) again();
    }).catch(() => {});
  }

  #received(b: Batch, t: Transfer): void {
    if (this.#limits === undefined) {
      if (t.actual >= 14) this.#frame(b, t.buffer, 0, t.actual);
      else if (t.actual > 0) this.dev.count("rx_bad");
      return;
    }
    const r = readBlock(t.buffer, t.actual, FRAME_MAX, (at, len) => this.#frame(b, t.buffer, at, len));
    if (r.skipped > 0) this.dev.count("rx_bad", r.skipped);
    if (r.refused !== undefined && t.actual > 0) this.dev.count("rx_bad_block");
  }

  #frame(b: Batch, from: Uint8Array, at: number, len: number): void {
    const one = this.dev.alloc(1);
    if (one.length === 0 || len > FRAME_MAX) return this.dev.count("rx_nobufs");
    one.copyFrom(0, from.subarray(at, at + len));
    b.put(one.take(0), len);
    if (b.length < PIECE) return;
    this.dev.ifInput(b);
    this.dev.gather();
  }

  #notified(t: Transfer): void {
    const d = t.buffer;
    if (t.actual < 8 || d[0] !== 0xa1) return;
    if (d[1] === USB.NOTIFY_CONNECTION) this.dev.link((d[2]! | d[3]! << 8) !== 0);
  }
}

async function attach(dev: Dev): Promise<Cdc> {
  const port = dev.resource as UsbPort | undefined;
  if (port === undefined) {
    throw new SoftcError("SOFTC_DEV_GONE", "A USB device is plugged in with its port", {
      state: "no resource",
      wanted: "a UsbPort",
    });
  }
  const { all, best } = await functions(port);
  if (best === undefined) {
    throw new SoftcError(
      "SOFTC_DEV_GONE",
      `Cannot drive the USB device of ${dev.id.address}: ${all.map(findFunction).join("; ")}`,
    );
  }
  const index = best.control.number;
  await port.control({ type: 0, request: USB.SET_CONFIGURATION, value: best.configuration, index: 0 });
  let limits: BlockLimits | undefined;
  if (best.kind === "ncm") {
    const setup = { type: 0xa1, request: USB.GET_NTB_PARAMETERS, value: 0, index, length: 28 };
    limits = parseLimits(await port.control(setup), BLOCK_MAX);
    if (limits === undefined) {
      throw new SoftcError("SOFTC_DEV_GONE", "The device's NTB parameters are nonsense");
    }
    const size = Uint8Array.of(limits.inSize & 255, limits.inSize >> 8 & 255, 0, 0);
    await port.control({ type: 0x21, request: USB.SET_NTB_INPUT_SIZE, value: 0, index }, size);
  }
  const mac = parseMac(await string(port, best.macString));
  const sc = new Cdc(dev, port, best, limits);
  await sc.setting(best.data.alternate);
  await sc.filter(false);
  const segment = best.maxSegment - 14;
  const mtu = segment >= 72 && segment < 1500 ? segment : 1500;
  dev.ifnet({ type: "ether", mtu, ...(mac === undefined ? {} : { mac }) });
  sc.start();
  return sc;
}

/** The driver: devices of bus `usb` with a CDC Ethernet function. Interfaces `ue0`, `ue1` ... */
export const cdc: Driver<undefined> = defineDriver({
  name: "cdc",
  api: 1,
  cloner: "ue",
  match: [{ bus: "usb", cdc: "ncm" }, { bus: "usb", cdc: "ecm" }],
  attach: (dev: Dev<undefined>) => attach(dev as Dev),
  set: (sc, change) => change.promisc === undefined ? undefined : sc.filter(change.promisc),
  transmit: (sc, b) => sc.transmit(b),
  stop: (sc) => sc.stop(),
});
