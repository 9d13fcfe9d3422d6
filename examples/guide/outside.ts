/** Beside step 4 of docs/guide.md: an Ethernet interface over UDP, a device outside of softc. @module */
import { createSocket, type Socket } from "node:dgram";
import { on, once } from "node:events";
import { defineDriver, type Dev, type Driver, type StandardSchema } from "@softc/softc/driver";

/** Options of an interface: ports on this machine. */
export interface OutsideOptions {
  /** Its own; a free one unless told. */
  readonly port?: number;
  /** Where it sends to. */
  readonly peer: number;
}

const MTU = 1400;

const options: StandardSchema<OutsideOptions> = {
  "~standard": {
    version: 1,
    vendor: "guide",
    validate(value) {
      const { port = 0, peer } = value as Partial<OutsideOptions>;
      const ok = (n: unknown, min: number): n is number => Number(n) >= min && Number(n) < 65536;
      return ok(port, 0) && ok(peer, 1)
        ? { value: { port, peer } }
        : { issues: [{ message: "no such ports" }] };
    },
  },
};

/** The receive loop: ends with the signal, whatever the interface goes by. */
async function receive(dev: Dev<OutsideOptions>, socket: Socket, signal: AbortSignal): Promise<void> {
  try {
    for await (const [frame] of on(socket, "message", { signal }) as AsyncIterable<[Uint8Array]>) {
      const batch = dev.alloc(1);
      // What comes from outside is not trusted, and mbufs may run out.
      if (batch.length === 0 || frame.length < 14 || frame.length > MTU + 14) dev.count("refused");
      else {
        batch.copyFrom(0, frame);
        dev.ifInput(batch);
      }
    }
  } catch (e) {
    if (!signal.aborted) throw e;
  }
}

const driver: Driver<OutsideOptions> = defineDriver({
  name: "outside",
  api: 1,
  cloner: "outside",
  options,
  async attach(dev) {
    dev.ifnet({ type: "ether", mtu: MTU });
    const { signal, options: { port, peer } } = dev;
    const socket = createSocket({ type: "udp4", signal }); // closed when attach fails, too
    await once(socket.bind(port, "127.0.0.1"), "listening", { signal }); // or it is pulled out meanwhile
    void dev.task((signal) => receive(dev, socket, signal));
    dev.link(true);
    return { dev, socket, peer };
  },
  transmit({ dev, socket, peer }, batch) {
    for (let i = 0; i < batch.length; i++) {
      socket.send(batch.bytes(i).slice(), peer, "127.0.0.1", (e) => e && dev.count("errors"));
    }
    return batch.length; // copied: what is not taken is freed as sent
  },
});
export default driver;
