/**
 * The production parts of a CPU, put together for a thread of a scenario: what boot() makes, without boot.
 *
 * @module
 */
import { Control } from "../core/cpu/control.ts";
import { Cpu, type PortMessage, revive } from "../core/cpu/cpu.ts";
import { MAIL, type Mail, mailboxAt, MailSender } from "../core/cpu/mailbox.ts";
import { turn } from "../core/cpu/pump.ts";
import { Device, MTU } from "../core/device/device.ts";
import type { Driver } from "../core/device/driver.ts";
import type { InstanceFacts } from "../core/device/instance.ts";
import { Instances } from "../core/device/instances.ts";
import type { LoadedModule } from "../core/device/modules.ts";
import { load, set, until } from "../core/doors/arena.ts";
import { type Arena, HEADER, IFNET, MAILBOX } from "../core/memory/arena.ts";
import { BORN } from "../core/memory/counters.ts";
import { RING, ringWaits } from "../core/memory/ring.ts";
import { ifLinkChanged } from "../core/net/config.ts";
import { DISPATCH, IFF } from "../core/net/flags.ts";
import { Events } from "../core/net/event.ts";
import type { Ifnet } from "../core/net/ifnet.ts";
import { IfnetObject } from "../core/net/ifnet_object.ts";
import { inputWaits, pollInput } from "../core/net/input.ts";
import { type IfEntry, type IfSpec, Interfaces } from "../core/net/interfaces.ts";
import { books } from "../core/net/ledger.ts";
import { detachEntry } from "../core/net/lifecycle.ts";
import { Net } from "../core/net/net.ts";
import { consume, ifOutput, pollQueues, queuesWait } from "../core/net/output.ts";
import { ifnetByIndexAttached } from "../core/net/section.ts";
import { transition } from "../core/net/state.ts";
import { AF, type Domain } from "../core/net/domain.ts";
import { Callbacks } from "../core/cpu/callbacks.ts";
import type { Clock } from "../core/doors/clock.ts";
import { VnetTable } from "../vnet/table.ts";
import type { VnetObject } from "../vnet/vnet.ts";
import type { ThreadContext } from "./scenario.ts";

/** Id that the one module of a scenario's world has. */
const MODULE = 1;

/** Words of the scenario domain's data of an interface: the vnet that it was made for, and a value to read. */
export const DATA = { vnet: 0, hopLimit: 1, WORDS: 16 } as const;

/** An address family with nothing but data: enough to see it freed too early. */
const domain: Domain = {
  name: "inet6",
  family: AF.inet6,
  etherTypes: [],
  afdataWords: DATA.WORDS,
  ifattach(a, data, ifnet) {
    set(a, data + DATA.vnet, ifnet.vnet);
    set(a, data + DATA.hopLimit, 64);
  },
  input: (_s, _p, b) => void b.freeAll(),
};

/** Time of one CPU of a scenario: moved by hand. */
export class HandClock implements Clock {
  readonly virtual = true;
  time = 0;
  now(): number {
    return this.time;
  }
}

/** A CPU of the scenario. */
export interface CpuWorld {
  readonly t: ThreadContext;
  readonly clock: HandClock;
  readonly a: Int32Array;
  readonly cpu: Cpu;
  readonly net: Net;
  readonly instances: Instances;
}

/** CPU 0. */
export interface ControlWorld extends CpuWorld {
  readonly control: Control;
  readonly ifs: Interfaces;
  readonly events: Events;
  readonly vnets: VnetTable;
  readonly vnet0: VnetObject;
}

/** A word that a scenario's threads may use to tell each other something. */
export function scratch(arena: Arena, i: number): number {
  void arena;
  return HEADER.WORDS / 2 + i;
}

/** What a CPU is put together from, beyond the driver. */
export interface CpuSpec {
  /** Address families of the CPU; one with nothing but data unless told. */
  readonly domains?: (net: Net) => readonly Domain[];
  /** CPU 0's grace periods: without them epoch callbacks are refused. */
  readonly grace?: () => Promise<void>;
}

/** Puts a CPU together. What it reports (a fault, a failed mail) is thrown: in a scenario it is a finding. */
export function openCpu(t: ThreadContext, driver?: Driver<never>, o: CpuSpec = {}): CpuWorld {
  // Answers with fields would come by the port, which needs an event loop: here they come as mail, without the fields.
  const up = t.thread === 0
    ? undefined
    : new MailSender(t.arena, mailboxAt(t.arena, t.thread, "up"), () => cpu.ring(0));
  const port = {
    post(m: PortMessage): void {
      report(t.thread, m);
      if (m.ticket !== undefined) up?.post([MAIL.ack, m.ticket, 0]);
    },
  };
  const clock = new HandClock();
  const cpu = new Cpu(t.thread, t.arena, clock, port, t.sanitizer);
  const net = new Net(cpu);
  net.domains.push(...o.domains?.(net) ?? [domain]);
  const callbacks = new Callbacks(
    o.grace ?? (() => Promise.reject(new Error("only CPU 0 of a scenario has epoch callbacks"))),
    (e) => {
      throw e;
    },
  );
  const instances = new Instances(cpu, net, () => Promise.resolve({ default: driver }), callbacks);
  cpu.sources.push(
    { poll: (budget) => pollInput(net, budget), waits: () => inputWaits(net) },
    { poll: (budget) => pollQueues(net, budget), waits: () => queuesWait(net) },
    instances.interrupts,
  );
  return { t, a: t.arena.a, clock, cpu, net, instances };
}

function report(cpu: number, m: PortMessage): void {
  const e = m.error ?? m.report?.error;
  if (e === undefined || m.report?.kind === "log") return;
  const thrown = revive(e);
  thrown.message = `CPU ${cpu} reports ${m.report?.label ?? "a failed message"}: ${e.message}`;
  throw thrown;
}

/** Puts CPU 0 together, with its structural side. `before` runs when all but vnet0 is there. */
export function openControl(
  t: ThreadContext,
  driver?: Driver<never>,
  o: CpuSpec = {},
  before: (w: Omit<ControlWorld, "vnet0">) => void = () => {},
): ControlWorld {
  const world = openCpu(t, driver, { ...o, grace: () => control.grace.wait() });
  const control = new Control(world.cpu);
  control.stepper = t.stepper;
  control.onReport = (r, k) => report(k, { report: r });
  const events = new Events(() => 0, () => ({}), (cause) => {
    throw cause;
  });
  const ifs = new Interfaces(control, world.net, events, world.net.domains);
  const wrap = (e: IfEntry): Ifnet => new IfnetObject(ifs, e, MTU, () => {});
  const vnets = new VnetTable(ifs, wrap, (e) => detachEntry(ifs, e));
  const link = (m: Mail): void => ifLinkChanged(ifs, m.a, m.b, m.c);
  world.cpu.on(MAIL.link, link);
  control.on(MAIL.link, link);
  const made = { ...world, control, events, ifs, vnets };
  before(made);
  return { ...made, vnet0: vnets.create(undefined, "vnet0") };
}

/** Runs `fn` in `prepare`, where nothing is scheduled: its structural operations do not wait at their steps. */
export async function unscheduled<R>(w: ControlWorld, fn: () => Promise<R>): Promise<R> {
  w.control.stepper = undefined;
  try {
    return await fn();
  } finally {
    w.control.stepper = w.t.stepper;
  }
}

/** How {@linkcode attachIf} makes an interface. */
export interface AttachSpec {
  readonly name?: string;
  readonly vnet?: VnetObject;
  /** CPU that runs a homed driver; 0 unless told. */
  readonly home?: number;
  /** Entries of each ring; 8 unless told. */
  readonly ringSize?: number;
  /** Leaves it in state attaching, for `attachEntries`. */
  readonly unpublished?: boolean;
}

/** Attaches an interface, UP, without any wait: for `prepare`. Its instances are opened with {@linkcode openInstance}. */
export function attachIf(w: ControlWorld, driver: Driver<never>, o: AttachSpec = {}): IfEntry {
  const { ifs, control } = w;
  const { name = "if0", vnet = w.vnet0, home = 0, ringSize = 8 } = o;
  const module = {
    id: MODULE,
    def: { name: driver.name, api: 1, drivers: [driver] },
  } as unknown as LoadedModule;
  const device = new Device({ module, driver, home, options: {}, id: {} as never }, control, 5000);
  const e = ifs.allocate(vnet, name, device);
  Object.assign(device, { index: e.index, born: e.born, name });
  transition(w.a, ifs.at(e), "attach", name);
  const spec: IfSpec = {
    type: "ether",
    mac: new Uint8Array(6),
    mtu: 1500,
    queues: driver.queues === "per-cpu" ? 0 : driver.queues ?? 1,
    ringSize,
    home,
    dispatch: DISPATCH.direct,
    groups: [driver.name],
    caps: 0,
  };
  if (o.unpublished === true) {
    e.spec = spec;
    return e;
  }
  ifs.fill(e, spec);
  ifs.hangAfdata(e, ifs.buildAfdata(e));
  ifs.link(e, "publish");
  set(w.a, ifs.at(e) + IFNET.flags, IFF.UP | IFF.BROADCAST);
  return e;
}

/** What an instance is told, where it is not what an instance is told by default. */
type Facts = Partial<InstanceFacts>;

function instanceMail(w: CpuWorld, index: number, more: Facts): Omit<Mail, "kind"> {
  const facts: InstanceFacts = {
    index,
    born: load(w.a, w.net.arena.ifnetAt(index) + IFNET.born),
    name: `if${index}`,
    options: {},
    id: {} as never,
    peers: [],
    shared: 0,
    window: 0,
    ...more,
  };
  return { ticket: 0, a: index, b: MODULE, c: 0, d: 0, text: JSON.stringify(facts) };
}

/** Imports the driver on this CPU and runs its `attach`, as mail would: the home CPU's part. */
export async function attachInstance(w: CpuWorld, index: number, more: Facts = {}): Promise<void> {
  const mail = instanceMail(w, index, more);
  await w.cpu.handle({ ...mail, kind: MAIL.importModule, a: MODULE, text: "scenario:driver" });
  await w.cpu.handle({ ...mail, kind: MAIL.attach });
}

/** Opens the instance of an interface on this CPU, as mail would; at home, `attach` comes first. */
export async function openInstance(
  w: CpuWorld,
  index: number,
  home: boolean,
  more: Facts = {},
): Promise<void> {
  const mail = instanceMail(w, index, more);
  if (home) await attachInstance(w, index, more);
  else await w.cpu.handle({ ...mail, kind: MAIL.importModule, a: MODULE, text: "scenario:driver" });
  await w.cpu.handle({ ...mail, kind: MAIL.open });
}

/** Sends one packet as a sender in vnet `vnet` would; returns how many were accepted, -1 when the look-up failed. */
export function sendOne(
  w: CpuWorld,
  vnet: number,
  index: number,
  between?: (s: ReturnType<Net["open"]>) => void,
): number {
  const s = w.net.open(vnet);
  try {
    const p = ifnetByIndexAttached(s, index);
    if (p === undefined) return -1;
    between?.(s);
    const b = w.net.borrow(index);
    b.n = w.cpu.pool.alloc(b.ids, 0, 1, BORN.stack, 64);
    // The packet says which vnet sent it.
    if (b.n > 0) b.bytes(0)[0] = vnet;
    const sent = ifOutput(s, p, b);
    w.net.giveBack();
    return sent;
  } finally {
    w.net.close(s);
  }
}

/** Turns of this CPU's pump until `done()`, which reads `words`, and nothing waits. */
export function pumpUntil(w: CpuWorld, words: readonly number[], done: () => boolean): void {
  const { arena } = w.net;
  const mail = mailboxAt(arena, w.cpu.id, "down") + MAILBOX.tail;
  for (;;) {
    const rings = w.net.queues.flatMap((q) => q.rings.map((r) => r + RING.tail));
    let ended = false;
    until(w.a, [mail, ...rings, ...words], () => w.cpu.workWaits() || (ended = done()));
    if (ended) return;
    turn(w.cpu);
  }
}

/** Answers mail until `done()`, which reads `words`, and none waits. */
export function serveMail(w: CpuWorld, words: readonly number[], done: () => boolean): void {
  const mail = mailboxAt(w.net.arena, w.cpu.id, "down") + MAILBOX.tail;
  for (;;) {
    let ended = false;
    until(w.a, [mail, ...words], () => w.cpu.mailWaits() || (ended = done()));
    if (ended) return;
    w.cpu.mail();
  }
}

/**
 * What a queue owner's turns do, as far as it concerns mail and one sender's ring: few points, so that three
 * threads can be explored to two preemptions.
 */
export function serveRing(w: CpuWorld, sender: number, words: readonly number[], done: () => boolean): void {
  const mail = mailboxAt(w.net.arena, w.cpu.id, "down") + MAILBOX.tail;
  const queue = w.net.queues[0]!;
  const ring = queue.rings[sender]!;
  const owned = (): boolean => w.net.queues.includes(queue);
  for (;;) {
    let ended = false;
    until(
      w.a,
      [mail, ring + RING.tail, ...words],
      () => w.cpu.mailWaits() || owned() && ringWaits(w.a, ring) || (ended = done()),
    );
    if (ended) return;
    w.cpu.mail();
    if (owned() && ringWaits(w.a, ring)) consume(w.net, queue, ring, 8);
  }
}

/** Throws unless every packet's life is accounted for and ended. */
export function assertLedger(arena: Arena): void {
  const { unaccounted, live } = books(arena);
  if (unaccounted !== 0) throw new Error(`${unaccounted} packets are unaccounted for`);
  if (live.length > 0) {
    throw new Error(`packets are left: ${live.map((l) => `${l.lives} of ${l.owner}`).join(", ")}`);
  }
}
