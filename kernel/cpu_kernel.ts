/**
 * A CPU put together: its network, its instances and its generators on top of the Cpu. The same on every CPU.
 *
 * @module
 */
import { Callbacks, RemoteGrace } from "../core/cpu/callbacks.ts";
import { Cpu, plainError, type Port } from "../core/cpu/cpu.ts";
import { type Importer, Instances } from "../core/device/instances.ts";
import { watchDoor } from "../core/doors/arena.ts";
import { type Clock, realClock } from "../core/doors/clock.ts";
import type { Arena } from "../core/memory/arena.ts";
import { WORK } from "../core/memory/counters.ts";
import { Sanitizer } from "../core/memory/sanitizer.ts";
import { inputWaits, pollInput } from "../core/net/input.ts";
import { Net } from "../core/net/net.ts";
import { pollQueues, queuesWait } from "../core/net/output.ts";
import { Pktgen } from "../core/net/pktgen.ts";
import { inetDomains } from "../vnet/inet/domain.ts";
import { virtualClock } from "./clock.ts";

/** The parts of one CPU. */
export interface CpuParts {
  readonly cpu: Cpu;
  readonly net: Net;
  readonly instances: Instances;
}

/**
 * Puts a CPU together. `grace` is CPU 0's way to a grace period; the others ask by mail.
 *
 * The sources are polled in this order: what came in before what goes out before what is made.
 */
export function assemble(
  id: number,
  arena: Arena,
  clock: Clock,
  port: Port,
  importer: Importer,
  grace?: () => Promise<void>,
): CpuParts {
  const sanitizer = arena.plan.config.debug ? new Sanitizer(arena, id, clock) : undefined;
  if (sanitizer !== undefined) sanitizer.after(watchDoor(sanitizer));
  const cpu = new Cpu(id, arena, clock, port, sanitizer);
  const net = new Net(cpu);
  net.domains.push(...inetDomains(net));
  const remote = grace === undefined ? new RemoteGrace(cpu) : undefined;
  const callbacks = new Callbacks(
    grace ?? (() => remote!.wait()),
    (e) => cpu.report({ kind: "panic", label: "epoch callback", error: plainError(e) }),
    (n) => cpu.counters.count(WORK.callbacks, n),
  );
  const instances = new Instances(cpu, net, importer, callbacks);
  cpu.sources.push(
    { poll: (budget) => pollInput(net, budget), waits: () => inputWaits(net) },
    { poll: (budget) => pollQueues(net, budget), waits: () => queuesWait(net) },
    instances.interrupts,
    new Pktgen(cpu, net),
  );
  return { cpu, net, instances };
}

/** The clock of a CPU: the runtime's, or the arena's virtual one. */
export function clockOf(arena: Arena, virtual: boolean): Clock {
  return virtual ? virtualClock(arena) : realClock;
}
