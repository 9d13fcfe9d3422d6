/** CPUs of a scenario with the IP stack: what the kernel makes, without boot. @module */
import type { Driver } from "../../core/device/driver.ts";
import { MTU } from "../../core/device/device.ts";
import { IfnetObject } from "../../core/net/ifnet_object.ts";
import type { IfEntry } from "../../core/net/interfaces.ts";
import type { NetSection } from "../../core/net/section.ts";
import type { ThreadContext } from "../../testing/mod.ts";
import { InetControl } from "../../vnet/inet/control.ts";
import { inetDomains } from "../../vnet/inet/domain.ts";
import { type ControlWorld, type CpuWorld, openControl, openCpu } from "../../testing/world.ts";

/** CPU 0 with its side of the IP stack. */
export interface InetWorld extends ControlWorld {
  readonly inet: InetControl;
}

/** Puts CPU 0 together. */
export function openInetControl(t: ThreadContext, driver?: Driver<never>): InetWorld {
  let inet: InetControl | undefined;
  const w = openControl(t, driver, { domains: inetDomains }, (w) => {
    inet = new InetControl(w.control, w.ifs, w.events, (fn) => w.instances.callbacks.call(fn));
    w.cpu.sources.push(inet);
    w.vnets.vars.add([inet.vnetVar]);
  });
  return { ...w, inet: inet! };
}

/** Puts another CPU together. */
export function openInetCpu(t: ThreadContext, driver?: Driver<never>): CpuWorld {
  return openCpu(t, driver, { domains: inetDomains });
}

/** An interface as a user holds it. */
export function ifnetOf(w: ControlWorld, e: IfEntry): IfnetObject {
  return new IfnetObject(w.ifs, e, MTU, () => {});
}

/** Runs `fn` in a section of vnet0, as the stack does. */
export function inSection(w: CpuWorld, fn: (s: NetSection) => void): void {
  const s = w.net.open(1);
  try {
    fn(s);
  } finally {
    w.net.close(s);
  }
}
