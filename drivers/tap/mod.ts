/**
 * tap: a Linux TAP device. The kernel's network stack is at the other end of the wire.
 *
 * The device's frames are read with sync calls that do not block, in batches, by a task that waits in `poll`
 * off the thread while nothing comes. Its home CPU is the only one that reads and writes; others reach it
 * through their rings. When the device goes away under it, the task says so and the interface goes: surprise
 * removal. An open device keeps its network namespace alive, so `ip netns del` alone would take nothing away:
 * the task also watches the namespace's name, and lets the device go with it.
 *
 * Needs Deno with `--allow-ffi` and `--allow-read`, Linux, `/dev/net/tun`, and CAP_NET_ADMIN.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import {
  type Batch,
  defineDriver,
  type Dev,
  type Driver,
  SoftcError,
  type StandardSchema,
} from "../../core/device/mod.ts";
import { ERRNO, O, openSys, type Sys, SysError, sysMissing } from "../sys/mod.ts";

/** Options of a tap. */
export interface TapOptions {
  /** Name of the Linux interface; Linux chooses unless told. At most 15 bytes. */
  readonly device?: string;
  /** Named network namespace (as `ip netns` has them) that the Linux interface is made in; this thread's own unless told. */
  readonly netns?: string;
  /** Bytes of payload, 72 to 1958; 1500 unless told. Linux's side is set by who configures it. */
  readonly mtu?: number;
}

const NAME = /^[^\s/:]{1,15}$/;
const NETNS = /^[A-Za-z0-9._-]{1,64}$/;

const options: StandardSchema<TapOptions> = {
  "~standard": {
    version: 1,
    vendor: "softc",
    validate(value) {
      const o = value ?? {};
      if (typeof o !== "object") return { issues: [{ message: "expected an object" }] };
      const { device, netns, mtu, ...others } = o as TapOptions;
      for (const name of Object.keys(others)) {
        return { issues: [{ message: "no such option", path: [name] }] };
      }
      if (device !== undefined && !(typeof device === "string" && NAME.test(device))) {
        return { issues: [{ message: "expected a name of at most 15 characters", path: ["device"] }] };
      }
      if (netns !== undefined && !(typeof netns === "string" && NETNS.test(netns))) {
        return { issues: [{ message: "expected the name of a network namespace", path: ["netns"] }] };
      }
      return {
        value: {
          ...(device === undefined ? {} : { device }),
          ...(netns === undefined ? {} : { netns }),
          ...(mtu === undefined ? {} : { mtu }),
        },
      };
    },
  },
};

/** Where named network namespaces are, as iproute2 keeps them. */
const NAMES = "/run/netns";
const TUNSETIFF = 0x400454ca;
const IFF_TAP = 2;
const IFF_NO_PI = 0x1000;
const FRAME_MAX = 1984;
/** Batches that are read before the event loop gets a turn. */
const BATCHES = 8;
/** Turns of the event loop without a frame before the task waits in `poll`. */
const SPINS = 16;

/** The softc: one open device. */
interface TapSoftc {
  readonly dev: Dev<TapOptions>;
  readonly sys: Sys;
  readonly fd: number;
  readonly wake: number;
  /** Watches the names of namespaces; -1 = the device is in the process's own. */
  readonly names: number;
  /** Every descriptor, to be closed. */
  readonly fds: readonly number[];
  /** Frames between the device and mbufs: the kernel writes into memory that no other CPU sees. */
  readonly stage: Uint8Array[];
  readonly lengths: Int32Array;
  reader: Promise<void>;
  stopping: boolean;
}

/** Opens a TAP device, in its namespace. Nothing awaits between moving there and moving back. */
function openTap(sys: Sys, o: TapOptions): number {
  const flags = O.RDWR | O.NONBLOCK | O.CLOEXEC;
  const own = o.netns === undefined
    ? -1
    : sys.check("open own namespace", sys.open("/proc/self/ns/net", O.CLOEXEC));
  let fd = -1;
  try {
    if (o.netns !== undefined) {
      // The thread's namespace, not the process's: workers differ.
      const there = sys.check(`open namespace ${o.netns}`, sys.open(`${NAMES}/${o.netns}`, O.CLOEXEC));
      const moved = sys.setns(there);
      sys.close(there);
      sys.check(`setns ${o.netns}`, moved);
    }
    fd = sys.check("open /dev/net/tun", sys.open("/dev/net/tun", flags));
    const ifreq = new Uint8Array(40);
    new TextEncoder().encodeInto(o.device ?? "", ifreq.subarray(0, 15));
    ifreq[16] = (IFF_TAP | IFF_NO_PI) & 255;
    ifreq[17] = (IFF_TAP | IFF_NO_PI) >> 8;
    const set = sys.ioctl(fd, TUNSETIFF, ifreq);
    if (set < 0) sys.close(fd);
    sys.check("TUNSETIFF", set);
    return fd;
  } finally {
    if (own >= 0) {
      const back = sys.setns(own);
      sys.close(own);
      sys.check("setns back", back);
    }
  }
}

/** Reads until there is nothing more or the budget is used; how many frames came, or -1 when the device is gone. */
function drain(sc: TapSoftc): number {
  const { sys, fd, stage, lengths, dev } = sc;
  let frames = 0;
  for (let k = 0; k < BATCHES; k++) {
    let n = 0;
    let result = 0;
    while (n < stage.length) {
      result = sys.read(fd, stage[n]!);
      if (result < 0) break;
      lengths[n++] = result;
    }
    if (n > 0) {
      const b = dev.alloc(n);
      for (let i = 0; i < b.length; i++) b.copyFrom(i, stage[i]!.subarray(0, lengths[i]!));
      if (b.length < n) dev.count("nobufs", n - b.length);
      if (b.length > 0) dev.ifInput(b);
      frames += n;
    }
    if (result < 0) {
      if (result === -ERRNO.EAGAIN || result === -ERRNO.EINTR || result === -ERRNO.EIO) return frames;
      return -1;
    }
  }
  return frames;
}

/** Reads while there is something; waits off the thread while there is nothing. */
async function read(sc: TapSoftc): Promise<void> {
  const { sys, fd, wake, names, dev } = sc;
  const wait = names < 0 ? [fd, wake] : [fd, wake, names];
  for (let idle = 0; !sc.stopping;) {
    const n = drain(sc);
    if (n < 0 || (names >= 0 && sys.goneNames(names).includes(dev.options.netns!))) return gone(sc);
    idle = n > 0 ? 0 : idle + 1;
    if (idle < SPINS) await new Promise<void>((resolve) => void setImmediate(resolve));
    else {
      await sys.pollAsync(wait, -1);
      idle = 0;
    }
  }
}

/** The device went away under us: the instance goes. */
function gone(sc: TapSoftc): void {
  if (sc.stopping) return;
  sc.dev.timer(() => {
    throw new SoftcError("SOFTC_DEV_GONE", "The Linux interface went away", {
      state: "gone",
      wanted: "there",
    });
  }).set(0);
}

/**
 * The driver: cloner `tap`, on one home CPU (Linux's Documentation/networking/tuntap.rst). Counts `nobufs` and
 * `refused`, in frames. Create throws `SOFTC_DRIVER_OPTIONS`, also when the device cannot be opened, and
 * `SOFTC_DEV_IFNET` for an MTU out of range; `SOFTC_DEV_GONE` is the fault when Linux's side goes away.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, isSoftcError } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:tap");
 * try {
 *   const [tap0] = await ifCloneCreate(kernel.vnet0, "tap"); // options: { device: "lab0", netns: "lab" }
 *   await tap0.up();
 *   console.log(String(tap0));
 * } catch (e) {
 *   if (!isSoftcError(e, "SOFTC_DRIVER_OPTIONS")) throw e;
 *   console.log(e.message); // not root, for one
 * }
 * ```
 */
const tap: Driver<TapOptions> = defineDriver({
  name: "tap",
  api: 1,
  cloner: "tap",
  options,
  attach(dev: Dev<TapOptions>): TapSoftc {
    const missing = sysMissing();
    if (missing !== undefined) throw refused(new Error(missing));
    const sys = openSys();
    const fds: number[] = [];
    const kept = (call: string, fd: number): number => {
      fds.push(sys.check(call, fd));
      return fd;
    };
    try {
      // Watched before it is entered: a namespace that goes in between is seen.
      const { netns } = dev.options;
      const names = netns === undefined ? -1 : kept(`watch ${NAMES}`, sys.watchNames(NAMES));
      const sc: TapSoftc = {
        dev,
        sys,
        fd: kept("open", openTap(sys, dev.options)),
        wake: kept("eventfd", sys.eventfd()),
        names,
        fds,
        stage: Array.from({ length: 64 }, () => new Uint8Array(FRAME_MAX)),
        lengths: new Int32Array(64),
        reader: Promise.resolve(),
        stopping: false,
      };
      dev.ifnet({ type: "ether", ...(dev.options.mtu === undefined ? {} : { mtu: dev.options.mtu }) });
      dev.link(true);
      sc.reader = dev.task(() => read(sc));
      return sc;
    } catch (cause) {
      for (const fd of fds) sys.close(fd);
      sys.end();
      throw refused(cause);
    }
  },
  transmit(sc, b: Batch) {
    const { sys, fd, dev } = sc;
    const frame = sc.stage[0]!;
    for (let i = 0; i < b.length; i++) {
      const n = b.len(i);
      frame.set(b.bytes(i));
      const result = sys.write(fd, frame.subarray(0, n));
      if (result >= 0) continue;
      if (result === -ERRNO.EAGAIN) {
        dev.timer(() => dev.txWake(0)).set(1);
        return i;
      }
      // Linux's side is down (EIO) or gone: the frame ends here, and is counted.
      dev.count("refused");
      dev.free(b.take(i));
    }
    return b.length;
  },
  async stop(sc) {
    sc.stopping = true;
    sc.sys.signal(sc.wake);
    await sc.reader;
    for (const fd of sc.fds) sc.sys.close(fd);
    sc.sys.end();
  },
});
export default tap;

/** What kept the device from being opened, in words that help. */
function refused(cause: unknown): SoftcError {
  const fix = cause instanceof SysError && cause.errno === ERRNO.EPERM
    ? "run with CAP_NET_ADMIN"
    : "it needs Linux, Deno with --allow-ffi, /dev/net/tun, and the namespace that was named";
  return new SoftcError("SOFTC_DRIVER_OPTIONS", `Cannot open a TAP device: ${(cause as Error).message}`, {
    cause,
    fix,
  });
}
