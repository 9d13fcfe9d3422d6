/**
 * The devices of a kernel, as its user sees them: what is plugged in, and who has it.
 *
 * @module
 */
import type { DeviceNode, DeviceState, DeviceTree } from "../core/device/bus.ts";
import { Device } from "../core/device/device.ts";
import type { DeviceId } from "../core/device/driver.ts";
import { SoftcError } from "../core/error.ts";
import type { Ifnet } from "../core/net/ifnet.ts";
import { IfnetObject } from "../core/net/ifnet_object.ts";
import type { IfEntry } from "../core/net/interfaces.ts";
import type { Vnet } from "../core/net/vnet.ts";
import { checkNames, type Names } from "../core/options.ts";

/** How a device is plugged in. */
export interface PlugOptions {
  /** Vnet of its interface; vnet0 unless told or remembered. */
  readonly vnet?: Vnet;
  /** The interface whose driver is the other side of the device (a software device): it goes when that goes. One device at a time. */
  readonly parent?: Ifnet;
  /** A live object behind the device (a transport, a port of a controller); its driver then runs on CPU 0. `unplugged` is called first of all when the device is pulled out: CPU 0, sync; a throw is a fault. */
  readonly resource?: { unplugged?(): void };
  /** Options for the driver. */
  readonly options?: unknown;
  /** Number of the driver's home CPU, from 0; chosen evenly unless told. */
  readonly cpu?: number;
}

const NAMES: Names<PlugOptions> = { vnet: true, parent: true, resource: true, options: true, cpu: true };

/** A device that is plugged in, or was: names and never holds, as an Ifnet does. */
export interface PluggedDevice {
  /** What it says it is: a frozen copy. */
  readonly id: DeviceId;
  /** Bus and address: "virtio:vhost0". */
  readonly name: string;
  /** Where it stands. */
  readonly state: DeviceState;
  /** Name of the driver that has it. */
  readonly driver: string | undefined;
  /** Its interfaces that are not freed. */
  readonly ifnets: readonly Ifnet[];
  /** Plain data. */
  toJSON(): object;
}

/** The devices of a kernel, as newbus (device(9), driver(9)) has them. What is refused rejects the promise; `explain` throws. */
export interface Devices {
  /**
   * Plugs a device in: every loaded driver is asked, the best is attached. Resolves when that is done, or
   * nobody wants it; a module that is loaded later is asked too.
   *
   * @throws {SoftcError} `SOFTC_DEV_EXISTS`, `SOFTC_DEV_GONE` when its parent is not attached, `SOFTC_OPTION_UNKNOWN`; `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_DOWN`. A driver that
   * fails is no error here: `explain` tells of it
   */
  plug(id: DeviceId, o?: PlugOptions): Promise<PluggedDevice>;
  /** Pulls it out, at any moment. Nobody can refuse. Resolves when nothing of it is left. Idempotent. @throws {SoftcError} `SOFTC_IF_WEDGED`, `SOFTC_DEV_GONE` for what is no device; `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_DOWN` */
  unplug(d: PluggedDevice): Promise<void>;
  /**
   * Takes its driver off it.
   *
   * @throws {SoftcError} `SOFTC_DEV_BUSY` when the driver refuses, `SOFTC_IF_GONE` when another destroys its interface,
   * `SOFTC_IF_WEDGED`, `SOFTC_DEV_GONE` for what is no device; `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_DOWN`
   */
  detach(d: PluggedDevice): Promise<void>;
  /** Looks for a driver again; does nothing when it has one. @throws {SoftcError} `SOFTC_DEV_GONE` for what is no device; `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_DOWN` */
  attach(d: PluggedDevice): Promise<void>;
  /** Why a driver has it, or why none does: a line for each driver. @throws {SoftcError} `SOFTC_DEV_GONE` for what is no device */
  explain(d: PluggedDevice): string[];
  /** What is plugged in, oldest first. */
  list(): PluggedDevice[];
}

class Handle implements PluggedDevice {
  readonly #wrap: (e: IfEntry) => Ifnet;

  constructor(readonly node: DeviceNode, wrap: (e: IfEntry) => Ifnet) {
    this.#wrap = wrap;
  }
  get id(): DeviceId {
    return this.node.id;
  }
  get name(): string {
    return this.node.name;
  }
  get state(): DeviceState {
    return this.node.state;
  }
  get driver(): string | undefined {
    return this.node.driver;
  }
  get ifnets(): readonly Ifnet[] {
    return this.node.live.filter((e) => e.spec !== undefined).map(this.#wrap);
  }
  toJSON(): object {
    const { name, id, state, driver } = this;
    return { name, id, state, driver, ifnets: this.ifnets.map((i) => i.name) };
  }

  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  toString(): string {
    return `device "${this.name}" (${this.state}, ${this.driver ?? "no driver"})`;
  }
}

/** What {@linkcode makeDevices} needs of the kernel. */
export interface DevicesHost {
  readonly vnet0: Vnet;
  wrap(e: IfEntry): Ifnet;
  structural<T>(what: string, fn: () => Promise<T>): Promise<T>;
}

/** The public face of a device tree. */
export function makeDevices(tree: DeviceTree, host: DevicesHost): Devices {
  const handles = new WeakMap<DeviceNode, Handle>();
  const face = (node: DeviceNode): Handle => {
    let h = handles.get(node);
    if (h === undefined) handles.set(node, h = new Handle(node, (e) => host.wrap(e)));
    return h;
  };
  const own = (d: PluggedDevice): DeviceNode => {
    if (d instanceof Handle) return d.node;
    throw new SoftcError("SOFTC_DEV_GONE", "Cannot use what was given as a device", {
      state: typeof d,
      wanted: "what plug() or list() gave",
    });
  };
  const on = async (
    what: string,
    d: PluggedDevice,
    fn: (node: DeviceNode) => Promise<void>,
  ): Promise<void> => {
    const node = own(d);
    await host.structural(`${what} ${node.name}`, () => fn(node));
  };
  return {
    plug: (id, o = {}) =>
      host.structural(`plug in ${id.bus}:${id.address}`, async () => {
        checkNames(`plug in ${id.bus}:${id.address}`, o, NAMES);
        const { parent, vnet = host.vnet0, ...rest } = o;
        const device = parent === undefined ? undefined : IfnetObject.entry(parent)?.device;
        if (parent !== undefined && !(device instanceof Device && parent.state === "attached")) {
          throw new SoftcError("SOFTC_DEV_GONE", `Cannot plug in ${id.bus}:${id.address}`, {
            state: `its parent is ${parent.state}`,
            wanted: "attached",
          });
        }
        return face(await tree.plug(id, { ...rest, vnet, parent: device as Device | undefined }));
      }),
    unplug: (d) => on("unplug", d, (node) => tree.unplug(node)),
    detach: (d) => on("detach", d, (node) => tree.detach(node)),
    attach: (d) => on("attach", d, (node) => tree.attach(node)),
    explain: (d) => tree.explain(own(d)),
    list: () => tree.all().map(face),
  };
}
