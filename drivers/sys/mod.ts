/**
 * libc by foreign function interface: the few calls that drivers of real devices need. Linux on x86-64, on Deno.
 *
 * Imports nothing. Sync calls answer a count, or the negative errno; nothing throws but `openSys` and `check`.
 * A `pollAsync` that is pending keeps its process alive and cannot be cancelled: always poll an eventfd with
 * the device and wake it by writing there.
 *
 * @module
 */

/** Errno numbers of Linux that callers look for: errno(3). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  EBUSY: 16,
  EINVAL: 22,
  EBADFD: 77,
} as const;

/** Flags of `open`: open(2). */
export const O = { RDONLY: 0, RDWR: 2, NONBLOCK: 0o4000, CLOEXEC: 0o2000000 } as const;

/** Events of `poll`: poll(2). */
export const POLL = { IN: 1, OUT: 4, ERR: 8, HUP: 16, NVAL: 32 } as const;

const SYMBOLS = {
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  inotify_init1: { parameters: ["i32"], result: "i32" },
  inotify_add_watch: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

/** `poll` again, off the thread. */
const ASYNC = {
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
} as const;

type Bytes = Uint8Array | Int32Array;
type Result = number | bigint;

/** What {@linkcode SYMBOLS} are, called. */
interface Libc {
  open(path: Bytes, flags: number, mode: number): Result;
  close(fd: number): Result;
  read(fd: number, to: Bytes, length: bigint): Result;
  write(fd: number, from: Bytes, length: bigint): Result;
  poll(fds: Bytes, count: bigint, ms: number): Result;
  eventfd(start: number, flags: number): Result;
  setns(fd: number, kind: number): Result;
  ioctl(fd: number, request: bigint, argument: Bytes): Result;
  inotify_init1(flags: number): Result;
  inotify_add_watch(fd: number, path: Bytes, mask: number): Result;
  __errno_location(): object;
}

/** What {@linkcode ASYNC} is, called. */
interface AsyncLibc {
  poll(fds: Bytes, count: bigint, ms: number): Promise<number>;
}

/** As much of Deno as is used: the npm build is checked without its types. */
declare const Deno: {
  readonly build: { readonly os: string; readonly arch: string };
  dlopen(file: string, symbols: typeof SYMBOLS): { readonly symbols: Libc; close(): void };
  dlopen(file: string, symbols: typeof ASYNC): { readonly symbols: AsyncLibc; close(): void };
  readonly UnsafePointerView: new (at: object) => { getInt32(): number };
};

/** Why a call failed. */
export class SysError extends Error {
  /** Its name. */
  override readonly name = "SysError";

  /** Names the call and its errno. */
  constructor(
    /** The call. */
    readonly call: string,
    /** Linux's number. */
    readonly errno: number,
  ) {
    super(`${call} failed: errno ${errno}`);
  }
}

/**
 * Why libc cannot be called here; `undefined` when it can.
 *
 * @example
 * ```ts
 * import { sysMissing } from "@softc/softc/drivers/sys";
 *
 * console.log(sysMissing() ?? "libc can be called");
 * ```
 */
export function sysMissing(): string | undefined {
  if (typeof Deno === "undefined") return "no foreign function interface: it needs Deno";
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    return `${Deno.build.os} on ${Deno.build.arch}: it needs Linux on x86_64`;
  }
  return undefined;
}

/** libc, opened. Close it when every call has returned. */
export interface Sys {
  /** Opens a file; a file descriptor or the negative errno. */
  open(path: string, flags: number): number;
  /** Closes a file descriptor; 0 or the negative errno. */
  close(fd: number): number;
  /** Reads into the start of `to`; how many bytes, or the negative errno. */
  read(fd: number, to: Uint8Array): number;
  /** Writes `from` with one write(2); how many bytes went, or the negative errno. */
  write(fd: number, from: Uint8Array): number;
  /** An ioctl(2) with a pointer; its result, or the negative errno. */
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  /** An eventfd(2) that does not block, or the negative errno. */
  eventfd(): number;
  /** Adds one to an eventfd: wakes who polls it. 8 (bytes), or the negative errno. */
  signal(fd: number): number;
  /** setns(2): moves this thread, and what it opens next, into the network namespace of a descriptor. Await nothing before moving back. */
  setns(fd: number): number;
  /** An inotify(7) descriptor that does not block, or the negative errno: it can be read when a name has gone from a directory. */
  watchNames(directory: string): number;
  /** Names that have gone from the watched directory since the last call; none on a failure too. */
  goneNames(fd: number): string[];
  /** Waits off the thread until one of the descriptors can be read, or `ms` milliseconds have passed (-1: no limit); how many can, -1 on a failure, whose errno is not known. */
  pollAsync(fds: readonly number[], ms: number): Promise<number>;
  /** Throws when `result` is a failure of `call`; gives it back otherwise. @throws {SysError} */
  check(call: string, result: number): number;
  /** Lets go of libc. */
  end(): void;
}

const CLONE_NEWNET = 0x40000000;
const IN = { MOVED_FROM: 0x40, DELETE: 0x200 } as const;

/** Names in `struct inotify_event`s: 16 bytes, the last four the length of the name that follows. */
function inotifyNames(events: Uint8Array): string[] {
  const view = new DataView(events.buffer, events.byteOffset, events.length);
  const names: string[] = [];
  for (let at = 0; at + 16 <= events.length;) {
    const end = at + 16 + view.getUint32(at + 12, true);
    names.push(new TextDecoder().decode(events.subarray(at + 16, end)).replace(/\0+$/, ""));
    at = end;
  }
  return names;
}

/**
 * Opens libc.
 *
 * @example
 * ```ts
 * import { openSys, sysMissing } from "@softc/softc/drivers/sys";
 *
 * const missing = sysMissing();
 * if (missing !== undefined) console.log(missing);
 * else {
 *   const sys = openSys();
 *   const fd = sys.check("eventfd", sys.eventfd());
 *   sys.signal(fd);
 *   console.log(await sys.pollAsync([fd], 1000)); // 1
 *   sys.close(fd);
 *   sys.end();
 * }
 * ```
 * @throws {Error} where {@linkcode sysMissing} gives a reason; what Deno throws without `--allow-ffi`
 */
export function openSys(): Sys {
  const missing = sysMissing();
  if (missing !== undefined) throw new Error(`Cannot call libc on ${missing}`);
  const c = Deno.dlopen("libc.so.6", SYMBOLS);
  const off = Deno.dlopen("libc.so.6", ASYNC);
  const errno = (): number => new Deno.UnsafePointerView(c.symbols.__errno_location()).getInt32();
  // Numbers for 64-bit parameters take a slow path: BigInt is four times as quick.
  const sized = (result: Result): number => Number(result) < 0 ? -errno() : Number(result);
  const path = (p: string): Uint8Array => new TextEncoder().encode(p + "\0");
  const events = new Uint8Array(4096);
  const one = new Uint8Array(8);
  one[0] = 1;
  return {
    open: (p, flags) => sized(c.symbols.open(path(p), flags, 0)),
    close: (fd) => sized(c.symbols.close(fd)),
    read: (fd, to) => sized(c.symbols.read(fd, to, BigInt(to.length))),
    write: (fd, from) => sized(c.symbols.write(fd, from, BigInt(from.length))),
    ioctl: (fd, request, argument) => sized(c.symbols.ioctl(fd, BigInt(request), argument)),
    eventfd: () => sized(c.symbols.eventfd(0, O.NONBLOCK | O.CLOEXEC)),
    signal: (fd) => sized(c.symbols.write(fd, one, 8n)),
    setns: (fd) => sized(c.symbols.setns(fd, CLONE_NEWNET)),
    watchNames(directory) {
      const fd = sized(c.symbols.inotify_init1(O.NONBLOCK | O.CLOEXEC));
      if (fd < 0) return fd;
      const watched = sized(c.symbols.inotify_add_watch(fd, path(directory), IN.MOVED_FROM | IN.DELETE));
      if (watched < 0) c.symbols.close(fd);
      return watched < 0 ? watched : fd;
    },
    goneNames(fd) {
      const n = sized(c.symbols.read(fd, events, BigInt(events.length)));
      return n > 0 ? inotifyNames(events.subarray(0, n)) : [];
    },
    async pollAsync(fds, ms) {
      const set = new Int32Array(2 * fds.length);
      fds.forEach((fd, i) => {
        set[2 * i] = fd;
        set[2 * i + 1] = POLL.IN;
      });
      return await off.symbols.poll(set, BigInt(fds.length), ms);
    },
    check(call, result) {
      if (result < 0) throw new SysError(call, -result);
      return result;
    },
    end() {
      c.close();
      off.close();
    },
  };
}
