/** The discard service (RFC 863) of a whole vnet: every valid IP packet is taken and thrown away. @module */
import { add } from "../../core/doors/arena.ts";
import { VNET } from "../../core/memory/arena.ts";
import type { Arena } from "../../core/memory/arena.ts";
import type { VnetObject } from "../vnet.ts";

/** A service that runs until it is closed. */
export interface Service {
  /** Ends it. Idempotent. */
  close(): void;
}

/** Starts the service: packets that come to the vnet are counted as delivered, on the CPU where they came in. */
export function startDiscard(arena: Arena, v: VnetObject): Service {
  const word = arena.vnetAt(v.id % arena.plan.config.vnets) + VNET.sockets;
  add(arena.a, word, 1);
  let open = true;
  return {
    close: () => {
      if (open && v.state !== "gone") add(arena.a, word, -1);
      open = false;
    },
  };
}
