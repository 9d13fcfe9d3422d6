/**
 * The wrapping itself: every hook of the driver is passed on, with the layers around it.
 *
 * @module
 */
import type { Batch, Dev, Driver, Fields, Peer, Shared } from "../../core/device/mod.ts";
import { View } from "./view.ts";

/** What becomes of a packet: it goes on, is lost, or the layer took it (`batch.take`) and ends it itself. */
export type Verdict = "pass" | "lose" | "taken";

/** What a layer works with, on one CPU. */
export interface LayerContext {
  /** The `dev` of the instance whose packets they are: of a pair, the sender's, both ways. */
  readonly dev: Dev;
  /** Hands packets on, past the layers: up, or to the peer that receives them. What a layer held back. */
  input(b: Batch): void;
}

/** One CPU's part of a middleware. Every member may be left out. */
export interface Layer {
  /** In transmit (in a section, sync): how many packets may be offered to the driver now; `dev.txWake` is called for the rest later. */
  admit?(batch: Batch, queue: number): number;
  /** In transmit (in a section, sync): packet `i` is about to be sent. */
  sent?(batch: Batch, i: number): Exclude<Verdict, "taken">;
  /** In the driver's `ifInput`, sync: packet `i` was received; one for a peer is seen on the sender's CPU, before the peer has it. */
  received?(batch: Batch, i: number): Verdict;
  /** A hook of the driver begins, on its CPU and in its section; must not await; a throw is the hook's. */
  hook?(name: string): void;
  /** After the driver's stop (its close, per-CPU) was called: ends what the layer holds. */
  stop?(): void;
}

/** A middleware: data, opened on each CPU that runs the driver. */
export interface Middleware {
  /** For people. */
  readonly name: string;
  /** Makes this CPU's part, and one more for each peer: what that one receives. */
  open(ctx: LayerContext): Layer;
}

/** One CPU's layers, and the driver's own object behind them. */
interface Wrapped {
  inner: object;
  readonly stack: Stack;
}

/** The layers of one instance on one CPU, from the outermost. */
class Stack {
  readonly layers: readonly Layer[];
  readonly dev: Dev<never, Fields>;
  /** What the driver gets for `dev`. */
  readonly face: Dev<never, Fields>;
  /** Layers on the way to each peer. A packet stays its sender's until the peer has it, so they are the sender's too. */
  readonly #toward: readonly (readonly Layer[])[];

  constructor(dev: Dev<never, Fields>, middleware: readonly Middleware[]) {
    this.dev = dev;
    const open = (input: (b: Batch) => void): Layer[] => middleware.map((m) => m.open({ dev, input }));
    const up = (b: Batch): void => dev.ifInput(b);
    this.layers = open(up);
    const ways = dev.peers.map((p) => (b: Batch): void => p.ifInput(b));
    this.#toward = ways.map(open);
    this.face = faceOf(
      dev,
      (b) => this.#receive(this.layers, b, up),
      ways.map((way, k) => ({ ifInput: (b) => this.#receive(this.#toward[k]!, b, way) })),
    );
  }

  hook(name: string): void {
    for (const l of this.layers) l.hook?.(name);
  }

  stop(): void {
    for (const l of [...this.layers, ...this.#toward.flat()]) l.stop?.();
  }

  /** Offers to the driver what every layer admits and none loses; answers what went from the front of `batch`. */
  transmit(batch: Batch, queue: number, next: (b: Batch, queue: number) => number): number {
    this.hook("transmit");
    let admitted = batch.length;
    for (const l of this.layers) {
      if (l.admit !== undefined) admitted = Math.min(admitted, Math.max(0, l.admit(batch, queue)));
    }
    const kept: number[] = [];
    const lost: number[] = [];
    for (let i = 0; i < admitted; i++) {
      let verdict: Verdict = "pass";
      for (const l of this.layers) if (verdict === "pass") verdict = l.sent?.(batch, i) ?? "pass";
      (verdict === "pass" ? kept : lost).push(i);
    }
    if (kept.length === batch.length) return next(batch, queue);
    const view = new View(batch, kept, this.dev, lost);
    const n = kept.length === 0 ? 0 : next(view, queue);
    // What is not taken stays as it is, lost ones behind it too: it comes again.
    const end = n < kept.length ? kept[n]! : admitted;
    view.settle(n, end);
    return end;
  }

  #receive(layers: readonly Layer[], batch: Batch, input: (b: Batch) => void): void {
    const b = View.whole(batch);
    for (const l of layers) {
      if (l.received === undefined) continue;
      for (let i = 0; i < b.length; i++) {
        if (b.len(i) > 0 && l.received(b, i) === "lose") this.dev.free(b.take(i));
      }
    }
    input(b);
  }
}

/** `dev` as the driver sees it: what it or a peer receives goes through the layers. */
function faceOf(
  dev: Dev<never, Fields>,
  ifInput: (b: Batch) => void,
  peers: readonly Peer[],
): Dev<never, Fields> {
  const own: Readonly<Record<string, unknown>> = { peers, ifInput };
  const bound = new Map<string | symbol, unknown>();
  return new Proxy(dev, {
    get(target, key) {
      if (typeof key === "string" && key in own) return own[key];
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      if (!bound.has(key)) bound.set(key, value.bind(target));
      return bound.get(key);
    },
  });
}

/**
 * Wraps a driver in middleware; the first is the outermost: nearest to the stack when sending.
 *
 * @example
 * ```ts
 * import nullDriver from "@softc/softc/drivers/null";
 * import { netem, trace, wrap } from "@softc/softc/drivers/wrap";
 *
 * export default wrap(nullDriver, trace(), netem({ loss: 0.01, seed: 7 }));
 * ```
 */
export function wrap<O>(d: Driver<O>, ...middleware: readonly Middleware[]): Driver<O> {
  const inner = d as Driver<never>;
  const stacks = new WeakMap<object, Stack>();
  const stackOf = (dev: Dev<never, Fields>): Stack => {
    let s = stacks.get(dev);
    if (s === undefined) stacks.set(dev, s = new Stack(dev, middleware));
    return s;
  };
  const around = (made: object | Promise<object>, stack: Stack): Wrapped | Promise<Wrapped> =>
    "then" in made && typeof made.then === "function"
      ? (made as Promise<object>).then((x) => ({ inner: x, stack }))
      : { inner: made, stack };
  /** Passes a hook on, when the driver has it. */
  const pass = <A extends unknown[], R>(name: string, hook: ((sc: object, ...a: A) => R) | undefined) =>
    hook === undefined ? {} : {
      [name]: (w: Wrapped, ...a: A): R => {
        w.stack.hook(name);
        return hook.call(inner, w.inner, ...a);
      },
    };
  const perCpu = inner.open !== undefined;
  const end = (name: "stop" | "close", hook: ((x: object) => void | Promise<void>) | undefined) => ({
    [name](w: Wrapped): void | Promise<void> {
      try {
        w.stack.hook(name);
        return hook?.call(inner, w.inner);
      } finally {
        if (perCpu === (name === "close")) w.stack.stop();
      }
    },
  });
  const out = {
    ...inner,
    attach(dev: Dev<never, Fields>) {
      const stack = stackOf(dev);
      stack.hook("attach");
      return around(inner.attach(stack.face), stack);
    },
    transmit: (w: Wrapped, b: Batch, queue: number): number =>
      w.stack.transmit(b, queue, (x, q) => inner.transmit(w.inner, x, q)),
    ...(perCpu
      ? {
        open(dev: Dev<never, Fields>, shared: Shared<Fields>, cpu: number) {
          const stack = stackOf(dev);
          stack.hook("open");
          return around(inner.open!(stack.face, shared, cpu), stack);
        },
        ...end("close", inner.close),
      }
      : {}),
    ...end("stop", inner.stop),
    ...pass("set", inner.set),
    ...pass("canDetach", inner.canDetach),
    ...pass("canMove", inner.canMove),
    ...pass("reassign", inner.reassign),
    ...pass("destroy", inner.destroy),
  };
  return out as unknown as Driver<O>;
}
