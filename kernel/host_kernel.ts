/**
 * The inside of a driver host: a whole kernel of one CPU, so that a driver finds there exactly what it finds
 * inline, and the far side of the border: what the proxy sends goes out through the driver, what the driver
 * receives goes to the proxy.
 *
 * The host's kernel keeps books of its own: a packet is born here as a copy, and what it hands to the border
 * is delivered.
 *
 * @module
 */
import { cloneOf } from "../core/device/cloner.ts";
import { plainError, type Report } from "../core/cpu/cpu.ts";
import type { Device } from "../core/device/device.ts";
import type { DeviceId, VnetName } from "../core/device/driver.ts";
import type { Border, BorderSection, LaneReader, LaneWriter } from "../core/device/host_border.ts";
import type { HostFacts, HostVerb } from "../core/device/host_proxy.ts";
import type { LoadedModule } from "../core/device/modules.ts";
import { get } from "../core/doors/arena.ts";
import { SoftcError } from "../core/error.ts";
import { IFNET } from "../core/memory/arena.ts";
import type { PacketBatch } from "../core/memory/batch.ts";
import { BORN, DROP, ENDED } from "../core/memory/counters.ts";
import { RING, ringRoom } from "../core/memory/ring.ts";
import { DISPATCH } from "../core/net/flags.ts";
import type { IfChange } from "../core/net/ifnet.ts";
import type { IfEntry } from "../core/net/interfaces.ts";
import { detachEntry } from "../core/net/lifecycle.ts";
import { ifOutput, ringAt } from "../core/net/output.ts";
import { ifnetByIndexAttached } from "../core/net/section.ts";
import type { VnetObject } from "../vnet/vnet.ts";
import { boot } from "./boot.ts";
import type { KernelObject } from "./kernel_object.ts";

/** Packets that one turn takes from the border. */
const BUDGET = 128;
/** Milliseconds between looks at the driver's own counters and the link. */
const LOOK_EVERY = 200;
const SITE = "input (delivered or dropped)" as const;

/** What a letter asks. */
interface Question {
  readonly id: number;
  readonly verb: HostVerb;
  readonly driver: number;
  readonly name: string;
  readonly options: unknown;
  readonly device: DeviceId;
  readonly group: readonly number[];
  readonly member: number;
  readonly change: IfChange;
  readonly to: VnetName;
}

/** The far side of one section of the border. */
class FarSide {
  readonly section: BorderSection;
  readonly tx: LaneReader;
  readonly rx: LaneWriter;
  readonly down: LaneReader;
  readonly up: LaneWriter;
  entry: IfEntry | undefined;
  counted = "";

  constructor(section: BorderSection) {
    this.section = section;
    this.tx = section.reader("tx");
    this.rx = section.writer("rx");
    this.down = section.reader("down");
    this.up = section.writer("up");
  }

  /** Its interface, unless that is on its way out: then its slot may be freed at any await. */
  get live(): IfEntry | undefined {
    return this.entry?.detaching === undefined ? this.entry : undefined;
  }

  /** Says something; what does not fit is lost, and the kernel's deadline finds a lost answer. */
  say(letter: object): void {
    if (this.up.post(letter)) this.section.ringKernel();
  }
}

/** The kernel inside a host. */
export class HostedKernel {
  readonly facts: HostFacts;
  readonly #k: KernelObject;
  readonly #border: Border;
  readonly #module: LoadedModule;
  readonly #sides: readonly FarSide[];
  readonly #byIndex: (FarSide | undefined)[] = [];
  /** What interfaces say while they attach, before it is known whose they are. */
  readonly #early = new Map<number, object[]>();
  /** Interfaces of one create, by the kernel's slots. */
  readonly #groups = new Map<string, Promise<IfEntry[]>>();
  readonly #counting: ReturnType<typeof setInterval>;
  #ended = false;

  private constructor(k: KernelObject, border: Border, module: LoadedModule) {
    this.#k = k;
    this.#border = border;
    this.#module = module;
    this.facts = factsOf(module);
    this.#sides = Array.from({ length: border.config.sections }, (_, i) => new FarSide(border.section(i)));
    const { cpu, net } = k.parts;
    net.sink = (index, b) => this.#receive(index, b);
    const report = k.control.onReport;
    k.control.onReport = (r, cpu) => {
      this.#tell(r);
      report(r, cpu);
    };
    cpu.sources.push({ poll: () => this.#poll(), waits: () => this.#waits() });
    void this.#wake();
    this.#counting = setInterval(() => void this.#count(), LOOK_EVERY);
  }

  /** Boots it and loads the module. */
  static async start(
    border: Border,
    o: { url: string; arena: number; deadline: number; debug: boolean },
    onPanic: (what: string) => void,
  ): Promise<HostedKernel> {
    let panics = 0;
    const k = await boot({
      arena: o.arena,
      debug: o.debug,
      hookDeadline: o.deadline,
      onFault: (e) => {
        // Of an interface: its proxy is told. The rest is bounded, because messages cannot be refused.
        if (e.code !== "SOFTC_DRIVER_THREW" && panics++ < 16) onPanic(e.message);
      },
    }) as KernelObject;
    const module = await k.table.load(o.url);
    return new HostedKernel(k, border, module);
  }

  /** Asks the module whether it may go. */
  async quiesce(): Promise<true | string> {
    try {
      return await this.#module.def.quiesce?.() ?? true;
    } catch (e) {
      return `quiesce threw: ${(e as Error).message}`;
    }
  }

  /** Takes everything apart; answers what was left behind. */
  async end(): Promise<string[]> {
    clearInterval(this.#counting);
    const { leaks, wedged, unaccounted } = await this.#k.shutdown();
    this.#ended = true;
    this.#border.ringHost(true);
    return [...leaks, ...wedged, ...(unaccounted === 0 ? [] : [`${unaccounted} packets unaccounted`])];
  }

  /** The border's bell wakes the pump. */
  async #wake(): Promise<void> {
    while (!this.#ended) {
      const { bell } = this.#border;
      this.#k.parts.cpu.ring(0);
      await this.#border.rung(bell);
    }
  }

  #poll(): number {
    this.#border.hostSleeps(false);
    this.#border.turn();
    let work = 0;
    for (const side of this.#sides) {
      for (let q = side.down.letter(); q !== undefined; q = side.down.letter()) {
        void this.#answer(side, q as Question);
        work++;
      }
      if (side.live !== undefined) work += this.#send(side, side.live);
    }
    return work;
  }

  /** Asked before the pump sleeps: the flag first, then the lanes. */
  #waits(): boolean {
    this.#border.hostSleeps(true);
    for (const side of this.#sides) {
      if (side.down.waits()) return true;
      const e = side.live;
      if (e !== undefined && side.tx.waits() && this.#room(e, side.tx.note(0) >>> 16) > 0) return true;
    }
    return false;
  }

  /** What the driver's queue can take now; the rest stays in the border, and the kernel's queue fills up. */
  #room(e: IfEntry, queue: number): number {
    const { arena } = this.#k;
    const at = this.#k.ifs.at(e);
    const queues = get(arena.a, at + IFNET.queues);
    if (queues === 0) return BUDGET;
    const ring = ringAt(
      get(arena.a, at + IFNET.rings),
      get(arena.a, at + IFNET.ringSize),
      1,
      queue % queues,
      0,
    );
    return ringRoom(arena.a, ring, get(arena.a, ring + RING.mask) + 1);
  }

  /** Sends what came from the kernel, up to a budget: runs of one queue. */
  #send(side: FarSide, e: IfEntry): number {
    const { tx } = side;
    const ready = Math.min(tx.ready(), BUDGET);
    if (ready === 0) return 0;
    const { net, cpu } = this.#k.parts;
    const queue = tx.note(0) >>> 16;
    let n = 1;
    while (n < ready && tx.note(n) >>> 16 === queue) n++;
    n = Math.min(n, this.#room(e, queue));
    if (n <= 0) return 0;
    const s = net.open(this.#k.vnet0.id);
    const b = net.borrow(e.index, DROP.refused);
    try {
      const p = ifnetByIndexAttached(s, e.index);
      if (p === undefined) return 0;
      n = cpu.pool.alloc(b.ids, 0, n, BORN.copy, 0);
      b.n = n;
      const { u8 } = this.#border;
      for (let i = 0; i < n; i++) {
        const at = tx.byteAt(i);
        b.copyFrom(i, u8.subarray(at, at + (tx.note(i) & 0xffff)));
      }
      tx.release(n);
      if (n > 0) ifOutput(s, p, b, queue);
    } finally {
      net.giveBack();
      net.close(s);
    }
    side.section.ringKernel();
    return n;
  }

  /** What the driver received: copied into the border, as far as there is room. */
  #receive(index: number, b: PacketBatch): void {
    const side = this.#byIndex[index];
    const { cpu } = this.#k.parts;
    const room = side?.live === undefined ? 0 : side.rx.slots - side.rx.used();
    const n = Math.min(b.n, room);
    if (side !== undefined && n > 0) {
      const { u8 } = this.#border;
      for (let i = 0; i < n; i++) {
        b.finishCsum(i);
        const len = b.len(i);
        const at = side.rx.byteAt(i);
        if (len <= 128) b.copyTo(i, u8, at);
        else u8.set(b.bytes(i), at);
        side.rx.note(i, len);
      }
      side.rx.publish(n);
      side.section.ringKernel();
    }
    cpu.pool.end(b.ids, 0, n, ENDED.delivered, SITE);
    if (n < b.n) cpu.pool.end(b.ids, n, b.n - n, DROP.backlog, SITE);
    b.release();
  }

  async #answer(side: FarSide, q: Question): Promise<void> {
    try {
      const value = await this.#do(side, q);
      if (q.id !== 0) side.say({ id: q.id, value: value ?? null });
    } catch (e) {
      if (q.id === 0) return;
      const error = plainError(e);
      side.say({
        id: q.id,
        error: { ...error, stack: error.stack?.slice(0, 4000), message: error.message.slice(0, 4000) },
      });
    }
  }

  async #do(side: FarSide, q: Question): Promise<unknown> {
    if (q.verb === "attach") return await this.#attach(side, q);
    const e = side.entry;
    if (e === undefined) throw new SoftcError("SOFTC_DEV_GONE", "The host has no such interface");
    switch (q.verb) {
      case "set":
        return await this.#set(e, q.change);
      case "canDetach":
        return await e.device.canDetach();
      case "canMove":
        return await e.device.canMove(q.to as VnetObject);
      case "reassign":
        return await e.device.reassign(q.to as VnetObject);
      case "unplug":
        return (e.device as Device).unplugged();
      case "stop":
        return await this.#stop(side, e);
    }
  }

  /** The first of a create makes them all; each takes its own. */
  async #attach(side: FarSide, q: Question): Promise<object> {
    const { vnet0, cloners, ifs, arena } = this.#k;
    const driver = this.#module.def.drivers[q.driver]!;
    const key = q.group.join(" ");
    const name = q.group.length > 1 ? q.name.slice(0, -1) : q.name;
    const free = q.group.length === 1 && ifs.nameFree(vnet0, name);
    // The first always begins: a slot that a late attach has left may be had again before that has settled.
    const made = q.member > 0 ? this.#groups.get(key) : cloners.createWith(
      vnet0,
      this.#module,
      driver as never,
      { options: q.options, ...(free ? { name } : {}) },
      q.device,
    );
    if (made === undefined) throw new SoftcError("SOFTC_DEV_GONE", `The host has no part of ${q.name}`);
    if (q.group.length > 1) this.#groups.set(key, made);
    let e: IfEntry;
    try {
      e = (await made)[q.member]!;
    } catch (x) {
      // What a failed attach said is said by whoever asked for it.
      for (const index of this.#early.keys()) {
        if (ifs.entries[index] === undefined) this.#sayEarly(index, side);
      }
      this.#groups.delete(key);
      throw x;
    }
    if (q.member === q.group.length - 1) this.#groups.delete(key);
    side.entry = e;
    side.counted = "";
    this.#byIndex[e.index] = side;
    this.#sayEarly(e.index, side);
    const { type, mac, mtu, groups, dispatch } = e.spec!;
    side.section.link = get(arena.a, ifs.at(e) + IFNET.link);
    return {
      type,
      mac: [...mac],
      mtu,
      groups: groups.slice(1),
      dispatch: dispatch === DISPATCH.flow ? "flow" : "direct",
    };
  }

  async #set(e: IfEntry, change: IfChange): Promise<void> {
    const i = this.#k.wrap(e);
    const { up, mtu, promisc, allmulti } = change as Partial<Record<string, unknown>>;
    if (up !== undefined) return up === true ? await i.up() : await i.down();
    await i.set({
      ...(mtu === undefined ? {} : { mtu: mtu as number }),
      ...(promisc === undefined ? {} : { promisc: promisc === true }),
      ...(allmulti === undefined ? {} : { allmulti: allmulti === true }),
    });
  }

  async #stop(side: FarSide, e: IfEntry): Promise<object> {
    const { ifs, cloners } = this.#k;
    await detachEntry(ifs, e);
    // The last of a create takes the create along.
    const others = cloneOf(e)?.entries.filter((x) => x.detaching === undefined) ?? [];
    if (others.every((x) => this.#byIndex[x.index]?.entry !== x)) await cloners.end(e);
    this.#sayCounts(side, e);
    side.entry = undefined;
    // Another may have the slot by now: it is free from the end of the detach on.
    if (this.#byIndex[e.index] === side) this.#byIndex[e.index] = undefined;
    const left = side.tx.ready();
    side.tx.release(left);
    return { left };
  }

  /** Passes on what an interface's hooks threw and logged. */
  #tell(r: Report): void {
    if (r.index === undefined) return;
    const say = (letter: object): void => {
      const side = this.#byIndex[r.index!];
      if (side?.entry !== undefined && side.entry.born === r.born) return side.say(letter);
      const early = this.#early.get(r.index!) ?? [];
      if (early.length < 32) this.#early.set(r.index!, [...early, letter]);
    };
    if (r.kind === "log") {
      const [, level, text] = /^(\w+) [^:]*: ([^]*)$/.exec(r.label) ?? ["", "info", r.label];
      say({ log: text!.slice(0, 1000), warn: level === "warn" });
    } else if (r.kind === "fault") {
      const { message = "", stack, ...rest } = r.error ?? {};
      const error = {
        ...rest,
        cause: undefined,
        message: message.slice(0, 4000),
        stack: stack?.slice(0, 4000),
      };
      say({ fault: r.label, error });
    }
  }

  #sayEarly(index: number, side: FarSide): void {
    for (const letter of this.#early.get(index) ?? []) side.say(letter);
    this.#early.delete(index);
  }

  async #count(): Promise<void> {
    for (const side of this.#sides) {
      const e = side.live;
      if (e === undefined) continue;
      await (e.device as Device).refreshCounters();
      if (side.live !== e) continue;
      this.#sayCounts(side, e);
      const { arena, ifs } = this.#k;
      const link = get(arena.a, ifs.at(e) + IFNET.link);
      if (link === side.section.link) continue;
      side.section.link = link;
      side.section.ringKernel();
    }
  }

  /** The driver's own counters, when they have changed. */
  #sayCounts(side: FarSide, e: IfEntry): void {
    const { counters } = e.device as Device;
    const text = JSON.stringify(counters);
    if (text === side.counted || text === "{}") return;
    side.counted = text;
    side.say({ counts: counters });
  }
}

/** What a proxy must know of a module. */
function factsOf({ def }: LoadedModule): HostFacts {
  return {
    name: def.name,
    depends: def.depends ?? [],
    drivers: def.drivers.map(({ name, cloner, instances, queues, queueLength, match }) => ({
      name,
      ...(cloner === undefined ? {} : { cloner }),
      ...(instances === undefined ? {} : { instances }),
      // In a host every driver has one home: its one CPU.
      ...(queues === undefined || queues === "per-cpu" ? {} : { queues }),
      ...(queueLength === undefined ? {} : { queueLength }),
      ...(match === undefined ? {} : { match }),
    })),
  };
}
