/**
 * A QEMU without a guest: its device models driven from here through the qtest socket. Guest memory is a file
 * that both map, so rings and packets are shared memory and only registers and kicks cross the socket.
 *
 * @module
 */
import { existsSync, statSync } from "node:fs";
import { Dma } from "../../core/device/mod.ts";
import { Features, type Transport } from "../../drivers/virtio/mod.ts";
import { poll } from "../helpers/leaks.ts";

const MEGABYTES = 64;
const BAR = 0xe0000000;
/** PCI slot of the device, and its ACPI eject register. */
const SLOT = 4;
const EJECT = 0xae08;

const LIBC = {
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
} as const;

/** Why QEMU cannot be had here; undefined when it can. */
export async function qemuMissing(): Promise<string | undefined> {
  try {
    const { success } = await new Deno.Command("qemu-system-x86_64", {
      args: ["-device", "virtio-net-pci,help"],
      stdout: "null",
      stderr: "null",
    }).output();
    return success ? undefined : "qemu-system-x86_64 has no virtio-net-pci";
  } catch {
    return "no qemu-system-x86_64 on the path (Debian: qemu-system-x86)";
  }
}

async function connect(path: string): Promise<Deno.UnixConn> {
  for (let i = 0;; i++) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (e) {
      if (i > 400) throw e;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Lines of a socket. */
async function* lines(c: Deno.UnixConn): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(65536);
  let text = "";
  for (;;) {
    const n = await c.read(chunk).catch(() => null);
    if (n === null) return;
    text += decoder.decode(chunk.subarray(0, n), { stream: true });
    for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n")) {
      yield text.slice(0, i);
      text = text.slice(i + 1);
    }
  }
}

/** A running QEMU. */
export class Machine {
  readonly dma: Dma;
  onIrq: () => void = () => {};
  stderr = "";
  readonly #process: Deno.ChildProcess;
  readonly #qtest: Deno.UnixConn;
  readonly #qmp: Deno.UnixConn;
  readonly #folder: string;
  readonly #unmap: () => void;
  readonly #asked: ((answer: string) => void)[] = [];
  readonly #qmpAsked: ((answer: Record<string, unknown>) => void)[] = [];
  readonly #readers: Promise<void>[] = [];
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(
    process: Deno.ChildProcess,
    qtest: Deno.UnixConn,
    qmp: Deno.UnixConn,
    folder: string,
    dma: Dma,
    unmap: () => void,
  ) {
    this.#process = process;
    this.#qtest = qtest;
    this.#qmp = qmp;
    this.#folder = folder;
    this.dma = dma;
    this.#unmap = unmap;
    this.#readers.push(this.#readQtest(), this.#readQmp(), this.#readStderr());
  }

  /** Starts one with a virtio-net-pci: behind slirp, or behind a tap of `queues` queues in a network namespace. */
  static async start(o: { netns?: string; tap?: string; queues?: number } = {}): Promise<Machine> {
    const { netns, tap, queues = 1 } = o;
    const netdev = tap === undefined
      ? "user,id=n0,restrict=on"
      : `tap,id=n0,ifname=${tap},script=no,downscript=no,queues=${queues}`;
    const device = queues > 1 ? "virtio-net-pci,mq=on" : "virtio-net-pci";
    const folder = await Deno.makeTempDir({ prefix: "softc-qtest-" });
    const at = (name: string): string => `${folder}/${name}`;
    const bios = new Uint8Array(65536);
    bios.set([0xfa, 0xf4, 0xeb, 0xfd], 0xfff0); // cli; hlt; jmp
    await Deno.writeFile(at("bios"), bios);
    const inside = netns === undefined ? [] : ["ip", "netns", "exec", netns];
    const [program, ...first] = [...inside, "qemu-system-x86_64"];
    const process = new Deno.Command(program!, {
      args: [
        first,
        ["-machine", "pc,accel=tcg,memory-backend=mem", "-bios", at("bios"), "-m", `${MEGABYTES}`],
        ["-object", `memory-backend-file,id=mem,size=${MEGABYTES}M,mem-path=${at("mem")},share=on`],
        ["-nodefaults", "-display", "none", "-qtest-log", "none"],
        ["-qtest", `unix:${at("qtest")},server=on,wait=off`, "-qmp", `unix:${at("qmp")},server=on,wait=off`],
        ["-netdev", netdev],
        ["-device", `${device},netdev=n0,id=nic,addr=${SLOT},disable-legacy=on,mac=02:00:00:00:00:07`],
      ].flat(),
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const [qtest, qmp] = [await connect(at("qtest")), await connect(at("qmp"))];
    const size = MEGABYTES << 20;
    // The sockets are there before the memory is.
    const made = (): boolean => existsSync(at("mem")) && statSync(at("mem")).size === size;
    if (!await poll(made, 10_000)) throw new Error("QEMU made no memory");
    const libc = Deno.dlopen("libc.so.6", LIBC);
    const fd = libc.symbols.open(new TextEncoder().encode(at("mem") + "\0"), 2, 0);
    const memory = libc.symbols.mmap(null, BigInt(size), 3, 1, fd, 0n)!;
    if (fd < 0 || Deno.UnsafePointer.value(memory) === 0xffff_ffff_ffff_ffffn) {
      throw new Error(`cannot map ${at("mem")}`);
    }
    libc.symbols.close(fd);
    const dma = new Dma(Deno.UnsafePointerView.getArrayBuffer(memory, size));
    const m = new Machine(process, qtest, qmp, folder, dma, () => {
      libc.symbols.munmap(memory, BigInt(size));
      libc.close();
    });
    await m.qmp("qmp_capabilities");
    await m.command("irq_intercept_in ioapic");
    return m;
  }

  /** One qtest command; commands are answered in order. */
  command(text: string): Promise<number> {
    const answer = new Promise<string>((resolve) => this.#asked.push(resolve));
    const bytes = new TextEncoder().encode(text + "\n");
    this.#writing = this.#writing.then(async () => {
      for (let n = 0; n < bytes.length;) n += await this.#qtest.write(bytes.subarray(n));
    }).catch(() => {});
    return answer.then((a) => {
      if (!a.startsWith("OK")) throw new Error(`${text}: ${a}`);
      return a.length > 2 ? Number(a.slice(3)) : 0;
    });
  }

  /** One QMP command. */
  async qmp(execute: string, args: object = {}): Promise<Record<string, unknown>> {
    const answer = new Promise<Record<string, unknown>>((resolve) => this.#qmpAsked.push(resolve));
    await this.#qmp.write(new TextEncoder().encode(JSON.stringify({ execute, arguments: args }) + "\n"));
    const a = await answer;
    if ("error" in a) throw new Error(`${execute}: ${JSON.stringify(a.error)}`);
    return a;
  }

  /** The guest's ACPI eject: from here on the device is gone from the bus. */
  async eject(): Promise<void> {
    await this.qmp("device_del", { id: "nic" });
    await this.command(`outl ${EJECT} ${1 << SLOT}`);
  }

  /** Reads or writes a word of the device's PCI configuration. */
  async pci(offset: number, width: "b" | "w" | "l", value?: number): Promise<number> {
    await this.command(`outl 0xcf8 ${0x80000000 + SLOT * 2048 + (offset & 0xfc)}`);
    const port = 0xcfc + (offset & 3);
    return await this.command(value === undefined ? `in${width} ${port}` : `out${width} ${port} ${value}`);
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    this.#qtest.close();
    this.#qmp.close();
    await Promise.all(this.#readers);
    this.#unmap();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #readQtest(): Promise<void> {
    for await (const line of lines(this.#qtest)) {
      if (line.startsWith("IRQ raise")) this.onIrq();
      else if (!line.startsWith("IRQ")) this.#asked.shift()?.(line);
    }
    for (const asked of this.#asked.splice(0)) asked("FAIL QEMU has ended");
  }

  async #readQmp(): Promise<void> {
    for await (const line of lines(this.#qmp)) {
      const m = JSON.parse(line);
      if ("return" in m || "error" in m) this.#qmpAsked.shift()?.(m);
    }
  }

  async #readStderr(): Promise<void> {
    for await (const chunk of this.#process.stderr) this.stderr += new TextDecoder().decode(chunk);
  }
}

/** virtio over PCI (4.1) through a {@linkcode Machine}. */
export class QtestTransport implements Transport {
  readonly dma: Dma;
  readonly bounce = true;
  gone = false;
  /** Kicks that crossed the socket, by queue. */
  readonly kicks: number[] = [];
  /** Where `memory` put each name. */
  readonly places = new Map<string, number>();
  #top = 1 << 20;
  #common = 0;
  #notify = 0;
  #multiplier = 0;
  #isr = 0;
  #config = 0;
  readonly #notifyAt: number[] = [];
  readonly #onQueue: (() => void)[] = [];
  #onConfig: () => void = () => {};
  readonly #m: Machine;

  private constructor(m: Machine) {
    this.#m = m;
    this.dma = m.dma;
  }

  /** Finds the device's registers through its PCI capabilities. */
  static async open(m: Machine): Promise<QtestTransport> {
    const t = new QtestTransport(m);
    const id = await m.pci(0, "l") >>> 0;
    if (id !== 0x10411af4) throw new Error(`no modern virtio-net there: 0x${id.toString(16)}`);
    await m.pci(0x20, "l", BAR);
    await m.pci(0x24, "l", 0);
    await m.pci(4, "w", 6); // memory, bus master
    for (let p = await m.pci(0x34, "b"); p !== 0; p = await m.pci(p + 1, "b")) {
      if (await m.pci(p, "b") !== 9) continue;
      const at = BAR + await m.pci(p + 8, "l");
      switch (await m.pci(p + 3, "b")) {
        case 1:
          t.#common = at;
          break;
        case 2:
          t.#notify = at;
          t.#multiplier = await m.pci(p + 16, "l");
          break;
        case 3:
          t.#isr = at;
          break;
        case 4:
          t.#config = at;
      }
    }
    m.onIrq = () => void t.#interrupted().catch(() => {});
    return t;
  }

  /** The bus: the device was pulled out. */
  unplugged(): void {
    this.gone = true;
    this.#onConfig();
  }

  async features(): Promise<Features> {
    await this.#write("l", 0, 0);
    const low = await this.#read("l", 4);
    await this.#write("l", 0, 1);
    return new Features(low | 0, await this.#read("l", 4) | 0);
  }

  async accept(f: Features): Promise<void> {
    for (const [i, word] of [f.low, f.high].entries()) {
      await this.#write("l", 8, i);
      await this.#write("l", 12, word >>> 0);
    }
  }

  async status(): Promise<number> {
    const s = await this.#read("b", 20);
    return s === 0xff ? 0 : s;
  }

  async setStatus(value: number): Promise<number> {
    await this.#write("b", 20, value);
    return await this.status();
  }

  config(at: number, bytes: 1 | 2 | 4): Promise<number> {
    return this.#m.command(`read${({ 1: "b", 2: "w", 4: "l" } as const)[bytes]} ${this.#config + at}`);
  }

  async queueMax(i: number): Promise<number> {
    await this.#write("w", 22, i);
    return await this.#read("w", 24);
  }

  memory(what: string, bytes: number): number {
    let at = this.places.get(what);
    if (at === undefined) {
      at = this.#top;
      this.places.set(what, at);
      this.#top += (bytes + 4095) & ~4095;
    }
    this.dma.u8.fill(0, at, at + bytes);
    return at;
  }

  async enable(i: number, n: number, desc: number, avail: number, used: number): Promise<void> {
    await this.#write("w", 22, i);
    await this.#write("w", 24, n);
    for (const [at, v] of [[32, desc], [40, avail], [48, used]] as const) {
      await this.#write("l", at, v);
      await this.#write("l", at + 4, 0);
    }
    this.#notifyAt[i] = this.#notify + await this.#read("w", 30) * this.#multiplier;
    await this.#write("w", 28, 1);
  }

  kick(i: number): void {
    this.kicks[i] = (this.kicks[i] ?? 0) + 1;
    this.#m.command(`writew ${this.#notifyAt[i]} ${i}`).catch(() => {});
  }

  listen(pair: number, fn: () => void): void {
    this.#onQueue[pair] = fn;
  }

  watch(fn: () => void): void {
    this.#onConfig = fn;
  }

  async #interrupted(): Promise<void> {
    const isr = await this.#m.command(`readb ${this.#isr}`);
    if (this.gone) return;
    // One line for all queues: whose it is, they see for themselves.
    if ((isr & 1) !== 0) { for (const fn of this.#onQueue) fn(); }
    if ((isr & 3) !== 0) this.#onConfig();
  }

  #read(width: "b" | "w" | "l", at: number): Promise<number> {
    return this.#m.command(`read${width} ${this.#common + at}`);
  }

  async #write(width: "b" | "w" | "l", at: number, value: number): Promise<void> {
    await this.#m.command(`write${width} ${this.#common + at} ${value}`);
  }
}
