/**
 * Errors of softc: a stable code, what failed, the state it was in, the state wanted, the rule and the fix.
 *
 * The table below is the list; the page of error codes is generated from it.
 *
 * @module
 */

/** Errno names that FreeBSD gives for the same failure. */
export type Errno =
  | "ENXIO"
  | "EEXIST"
  | "EBUSY"
  | "EINVAL"
  | "ENOMEM"
  | "ENODEV"
  | "ENOENT"
  | "ETIMEDOUT"
  | "EDEADLK"
  | "ENOBUFS"
  | "EPERM"
  | "EOPNOTSUPP"
  | "EADDRINUSE"
  | "EADDRNOTAVAIL"
  | "EHOSTUNREACH";

interface CodeRow {
  /** The errno that FreeBSD answers, where it has one. */
  readonly errno?: Errno;
  /** The rule that is kept (1a-4b, X1-X5 of the FreeBSD review), where one is. */
  readonly rule?: string;
  /** What the caller does about it. */
  readonly fix: string;
}

/** Every code: errno, rule and fix. */
export const CODES = {
  SOFTC_BOOT_ARGUMENT: { errno: "EINVAL", fix: "pass boot() options in the documented ranges" },
  SOFTC_BOOT_CPU: {
    fix: "look at the cause: a CPU's worker did not start; it needs read access to its own module",
  },
  SOFTC_BOOT_DOWN: { errno: "ENXIO", fix: "boot a new kernel; this one has shut down" },
  SOFTC_OPTION_UNKNOWN: {
    errno: "EINVAL",
    fix: "name an option that there is; the message has the nearest first",
  },
  SOFTC_ARENA_FULL: { errno: "ENOMEM", fix: "boot with a larger arena, or destroy what is not needed" },
  SOFTC_ARENA_FREED: { rule: "1b", fix: "keep no offset past the section or hook that gave it" },
  SOFTC_ARENA_LEAK: { rule: "X3", fix: "free what the named owner allocated before shutdown" },
  SOFTC_EPOCH_OUTSIDE: { rule: "2", fix: "look up and use an interface inside one section" },
  SOFTC_EPOCH_INSIDE: { errno: "EDEADLK", rule: "X4", fix: "leave the section first, or use epochCall" },
  SOFTC_EPOCH_ASYNC: {
    rule: "X5",
    fix: "await nothing inside a section; use epochOpen for a section that awaits",
  },
  SOFTC_EPOCH_FULL: { errno: "EBUSY", fix: "close async sections; blame() names their openers" },
  SOFTC_EPOCH_ARGUMENT: { errno: "EINVAL", fix: "pass what the signature says" },
  SOFTC_EPOCH_CLOSED: { rule: "X3", fix: "close an async section once" },
  SOFTC_IF_ARGUMENT: { errno: "EINVAL", fix: "pass what the signature says" },
  SOFTC_IF_GONE: {
    errno: "ENXIO",
    rule: "4b",
    fix: "resolve the handle again; it names an interface that went away",
  },
  SOFTC_IF_STATE: {
    errno: "EBUSY",
    rule: "X2",
    fix: "wait until the operation that owns the interface has ended",
  },
  SOFTC_IF_EXISTS: { errno: "EEXIST", rule: "X2", fix: "choose another name" },
  SOFTC_IF_WEDGED: {
    errno: "ETIMEDOUT",
    rule: "3a",
    fix: "mend the named hook; the memory is kept until the kernel ends",
  },
  SOFTC_IF_NOT_ATTACHED: { errno: "ENXIO", rule: "X2", fix: "detach only what was attached" },
  SOFTC_IF_FULL: { errno: "ENOMEM", fix: "boot with more ifnets" },
  SOFTC_IF_REF: { rule: "4a", fix: "release a reference once, and take one only with ifTryRef" },
  SOFTC_IF_MTU: { errno: "EINVAL", fix: "choose an MTU between 72 and what one cluster holds" },
  SOFTC_VNET_ARGUMENT: { errno: "EINVAL", fix: "pass what the signature says" },
  SOFTC_VNET_EXISTS: { errno: "EEXIST", fix: "choose another name" },
  SOFTC_VNET_STATE: { errno: "EBUSY", fix: "the vnet is being made or destroyed; use another" },
  SOFTC_VNET_SAME: { errno: "EEXIST", fix: "move to another vnet than the one it is in" },
  SOFTC_VNET_VETO: { errno: "EBUSY", fix: "ask the driver's owner: canMove refused" },
  SOFTC_VNET_OVERDUE: {
    errno: "EBUSY",
    rule: "X5",
    fix: "close the async section that the message names, then move",
  },
  SOFTC_VNET_LOST: {
    errno: "ENODEV",
    rule: "X2",
    fix: "resolve the handle: another operation claimed the interface",
  },
  SOFTC_VNET_REASSIGN: {
    errno: "ENXIO",
    fix: "look at the cause: the driver's reassign failed and the interface was detached",
  },
  SOFTC_VNET_FULL: { errno: "ENOMEM", fix: "boot with a larger arena" },
  SOFTC_VNET_ORDER: { errno: "EINVAL", fix: "destroy child vnets first, and never vnet0" },
  SOFTC_DEV_REENTRANT: { errno: "EDEADLK", rule: "X4", fix: "post it as a task: dev.task(async () => ...)" },
  SOFTC_DEV_SCOPE: { rule: "X3", fix: "arm nothing after stop; the scope is closed" },
  SOFTC_DEV_IFNET: { errno: "EINVAL", fix: "call dev.ifnet() exactly once, in attach" },
  SOFTC_DEV_BUSY: { errno: "EBUSY", fix: "ask the driver's owner: canDetach refused" },
  SOFTC_DEV_EXISTS: { errno: "EEXIST", fix: "unplug what is at that place of the bus first" },
  SOFTC_DEV_ARGUMENT: { errno: "EINVAL", fix: "pass what the signature says" },
  SOFTC_DEV_CPU: { errno: "EINVAL", fix: "name a CPU that the kernel has" },
  SOFTC_DEV_GONE: { errno: "ENXIO", fix: "the device was unplugged or its driver closed" },
  SOFTC_DRIVER_SHAPE: {
    errno: "EINVAL",
    fix: "export default defineDriver({ name, api: 1, attach, transmit })",
  },
  SOFTC_DRIVER_API: {
    errno: "EOPNOTSUPP",
    fix: "use a driver made for this version of the driver API, or the matching softc",
  },
  SOFTC_DRIVER_OPTIONS: { errno: "EINVAL", fix: "give the options that the driver's schema describes" },
  SOFTC_DRIVER_THREW: { fix: "mend the named hook of the driver" },
  SOFTC_DRIVER_STALLED: { errno: "ETIMEDOUT", fix: "settle the named hook within its deadline" },
  SOFTC_DRIVER_UNKNOWN: { errno: "ENOENT", fix: "load the module that has this cloner or driver first" },
  SOFTC_DRIVER_COUNT: { fix: "transmit returns how many packets it took from the front, 0 to batch.length" },
  SOFTC_MODULE_LOAD: {
    fix: "look at the cause: the module did not load on every CPU; what was done is undone",
  },
  SOFTC_MODULE_ARGUMENT: { errno: "EINVAL", fix: "pass what the signature says" },
  SOFTC_MODULE_EXISTS: { errno: "EEXIST", fix: "unload the module of that name first" },
  SOFTC_MODULE_UNKNOWN: { errno: "ENOENT", fix: "name a module that is loaded" },
  SOFTC_MODULE_BUSY: {
    errno: "EBUSY",
    rule: "3b",
    fix: "unload with mode drain, or remove what the message names",
  },
  SOFTC_MODULE_DEPENDS: { errno: "ENOENT", fix: "load the modules that it depends on first" },
  SOFTC_MODULE_STATE: { errno: "EBUSY", fix: "wait until the load or unload under way has ended" },
  SOFTC_HOST_ARGUMENT: { errno: "EINVAL", fix: "pass host options in the documented ranges" },
  SOFTC_HOST_PERMISSIONS: {
    errno: "EOPNOTSUPP",
    fix: "leave permissions out: only Deno's workers have them",
  },
  SOFTC_HOST_LATE: { errno: "ETIMEDOUT", fix: "settle the named hook within the host's deadline" },
  SOFTC_HOST_LOST: { errno: "ENXIO", fix: "mend the driver that ended its host, then load it again" },
  SOFTC_HOST_STALLED: {
    errno: "ETIMEDOUT",
    fix: "mend the driver that blocks its host's thread, then load it again; a busy worker runs on",
  },
  SOFTC_HOST_PROTOCOL: { fix: "load no such driver again: its host wrote nonsense into the border" },
  SOFTC_MBUF_DOUBLE_FREE: {
    rule: "1b",
    fix: "free an mbuf once: freeAll, txDone, free and ifInput each end your ownership",
  },
  SOFTC_MBUF_NOT_OWNER: { rule: "1b", fix: "free only what this batch or device owns" },
  SOFTC_MBUF_CORRUPT: { fix: "an internal check failed; report it with the message" },
  SOFTC_MBUF_RANGE: { errno: "EINVAL", fix: "stay within the batch's length and one cluster" },
  SOFTC_INET_ARGUMENT: { errno: "EINVAL", fix: "pass what the signature says" },
  SOFTC_INET_EXISTS: { errno: "EEXIST", fix: "remove the address or route that is there first" },
  SOFTC_INET_DUPLICATE: {
    errno: "EADDRINUSE",
    fix: "choose another address: a neighbour has this one",
  },
  SOFTC_INET_IN_USE: { errno: "EADDRINUSE", fix: "choose another port, or close the socket that has it" },
  SOFTC_INET_ADDRESS: { errno: "EADDRNOTAVAIL", fix: "give the vnet the address first, with inetAddress" },
  SOFTC_INET_UNREACHABLE: {
    errno: "EHOSTUNREACH",
    fix: "give the vnet a route to the destination, with inetRoute",
  },
  SOFTC_INET_CLOSED: { errno: "ENXIO", fix: "open a new socket; this one is closed or its vnet is gone" },
  SOFTC_PCAP_BAD: { errno: "EINVAL", fix: "give a whole pcap or pcapng file; the message names the offset" },
  SOFTC_PCAP_ARGUMENT: { errno: "EINVAL", fix: "pass what the signature says" },
  SOFTC_PCAP_FILE: { errno: "ENOENT", fix: "give a path or URL that can be read, and allow reading it" },
  SOFTC_IF_UNKNOWN: { errno: "ENOENT", fix: "name an interface that exists, as NAME, VNET:NAME or HANDLE" },
  SOFTC_VNET_UNKNOWN: { errno: "ENOENT", fix: "name a vnet that exists" },
  SOFTC_LAB_BAD: {
    errno: "EINVAL",
    fix: "mend the lab file where the message says; control/lab/lab.schema.json has the shape",
  },
  SOFTC_LAB_FILE: { errno: "ENOENT", fix: "give the path of a lab file that can be read" },
  SOFTC_LAB_APPLY: { fix: "look at the cause; every step that was done is undone" },
  SOFTC_LAB_BUSY: { errno: "EBUSY", fix: "wait until the apply under way has ended" },
  SOFTC_API_INPUT: {
    errno: "EINVAL",
    fix: "give what is wanted; for the HTTP API, /openapi.json describes it",
  },
  SOFTC_API_TOKEN: { errno: "EPERM", fix: "send the token that start printed: Authorization: Bearer TOKEN" },
  SOFTC_API_HOST: {
    errno: "EPERM",
    fix: "use the address that start printed; names that resolve to it are refused",
  },
  SOFTC_API_ORIGIN: { errno: "EPERM", fix: "call from the API's own page, or without a browser" },
  SOFTC_API_UNKNOWN: { errno: "ENOENT", fix: "use a path of /openapi.json" },
  SOFTC_API_METHOD: { errno: "EOPNOTSUPP", fix: "use a method that the Allow header names" },
  SOFTC_API_SIZE: { errno: "EINVAL", fix: "send a smaller body, or start with a higher limit" },
  SOFTC_API_MEDIA: { errno: "EINVAL", fix: "send Content-Type: application/json" },
  SOFTC_API_LIMIT: { errno: "EBUSY", fix: "wait as long as Retry-After says, or start with a higher limit" },
  SOFTC_API_CAPTURE: { errno: "ENOENT", fix: "name a capture that is kept: softc capture list" },
  SOFTC_API_REPLUG: { errno: "ENOENT", fix: "name something that was pulled out: softc if unplugged" },
  SOFTC_API_MODULE: {
    errno: "EPERM",
    fix: "start with --allow-module PREFIX; built-in drivers (softc:NAME) are always allowed",
  },
  SOFTC_API_INTERNAL: { fix: "look at the server's log; report it with the request" },
  SOFTC_API_LISTEN: { errno: "EBUSY", fix: "choose a free port or socket path" },
  SOFTC_API_CONNECT: { errno: "ENXIO", fix: "start a system first: softc start" },
} as const satisfies Record<`SOFTC_${string}`, CodeRow>;

/** A stable error code. */
export type Code = keyof typeof CODES;

/** What an error says beside its code. */
export interface ErrorDetail {
  /** The state it was in. */
  readonly state?: string | undefined;
  /** The state that was wanted. */
  readonly wanted?: string | undefined;
  /** A fix that fits better than the table's. */
  readonly fix?: string | undefined;
  /** What caused it. */
  readonly cause?: unknown;
}

/**
 * The one error class. Two copies of the package may meet, so compare `code`, never the class.
 *
 * @example
 * ```ts
 * import { SoftcError } from "@softc/softc";
 *
 * const e = new SoftcError("SOFTC_IF_GONE", "Cannot send through if#12.g3", { state: "moved", wanted: "live" });
 * console.log(e.code, e.errno, e.rule);
 * ```
 */
export class SoftcError extends Error {
  /** Stable code, `SOFTC_AREA_WHAT`. */
  readonly code: Code;
  /** FreeBSD's errno for it. */
  readonly errno?: Errno;
  /** State that it was in. */
  readonly state?: string;
  /** State that was wanted. */
  readonly wanted?: string;
  /** Rule that is kept by refusing. */
  readonly rule?: string;
  /** What to do. */
  readonly fix: string;
  /** The name by which every copy of the package is known. */
  override readonly name = "SoftcError";

  /** Makes an error; `what` states what failed, with the name of the thing, without a final period. */
  constructor(code: Code, what: string, detail: ErrorDetail = {}) {
    const row: CodeRow = CODES[code];
    const said = [
      ...(detail.state === undefined ? [] : [`state "${detail.state}"`]),
      ...(detail.wanted === undefined ? [] : [`wanted "${detail.wanted}"`]),
    ].join(", ");
    const states = said === "" ? "" : ` (${said})`;
    const rule = row.rule === undefined ? "" : `; rule ${row.rule}`;
    const fix = detail.fix ?? row.fix;
    super(
      `${what}${states} [${code}${row.errno ? ` ${row.errno}` : ""}${rule}]; fix: ${fix}`,
      detail.cause === undefined ? undefined : { cause: detail.cause },
    );
    this.code = code;
    this.fix = fix;
    if (row.errno !== undefined) this.errno = row.errno;
    if (row.rule !== undefined) this.rule = row.rule;
    if (detail.state !== undefined) this.state = detail.state;
    if (detail.wanted !== undefined) this.wanted = detail.wanted;
  }

  /** Plain data: what crosses threads and goes into JSON. */
  toJSON(): object {
    const { code, message, errno, state, wanted, rule, fix } = this;
    const cause = this.cause instanceof Error ? this.cause.message : this.cause;
    return { code, message, errno, state, wanted, rule, fix, cause };
  }
}

/**
 * True for a {@linkcode SoftcError} of any copy of the package, with the given code if one is given.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, isSoftcError } from "@softc/softc";
 *
 * await using kernel = await boot();
 * try {
 *   await ifCloneCreate(kernel.vnet0, "nothing");
 * } catch (e) {
 *   console.log(isSoftcError(e, "SOFTC_DRIVER_UNKNOWN")); // true
 * }
 * ```
 */
export function isSoftcError(e: unknown, code?: Code): e is SoftcError {
  return e instanceof Error && e.name === "SoftcError" &&
    (code === undefined || (e as SoftcError).code === code);
}
