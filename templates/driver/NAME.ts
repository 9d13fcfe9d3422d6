/**
 * NAME: an Ethernet interface. Its device is made up: it needs a millisecond for what it is given, and has room
 * for 64 packets. Put yours in its place.
 *
 * @module
 */
import { defineDriver, type Dev, type Driver, type Mbuf, type Timer } from "@softc/softc/driver";

/** Packets that the device has room for. */
const ROOM = 64;

/** The softc: all that one interface keeps. It is never shared between CPUs. */
interface Softc {
  readonly dev: Dev;
  /** Packets that the device has. They are the driver's to end, each exactly once. */
  readonly underWay: Mbuf[];
  /** Comes when the device has sent what it was given. A real device has an interrupt. */
  readonly done: Timer;
  busy: boolean;
  /** Somebody waits for room. */
  full: boolean;
}

/** The device says: all sent. */
function complete(sc: Softc): void {
  sc.busy = false;
  for (const m of sc.underWay.splice(0)) sc.dev.txDone(m); // on the wire, and counted
  if (!sc.full) return;
  sc.full = false;
  sc.dev.txWake(0); // there is room again: what waits is sent
}

/** The driver: cloner `NAME`. */
const driver: Driver<undefined> = defineDriver({
  name: "NAME",
  api: 1,
  cloner: "NAME",
  // Makes the softc. May await. What it throws undoes everything.
  attach(dev): Softc {
    dev.ifnet({ type: "ether", mtu: 1500 });
    dev.link(true);
    const sc: Softc = { dev, underWay: [], done: dev.timer(() => complete(sc)), busy: false, full: false };
    return sc;
  },
  // Sends: at once, without waiting. Answers how many packets it took from the front.
  transmit(sc, batch) {
    let n = 0;
    while (n < batch.length && sc.underWay.length < ROOM) sc.underWay.push(batch.take(n++));
    if (n < batch.length) sc.full = true;
    if (!sc.busy) {
      sc.busy = true;
      sc.done.set(1);
    }
    return n;
  },
  // No transmit runs any more. May await: settles when the device has been reset.
  stop(sc) {
    for (const m of sc.underWay.splice(0)) sc.dev.free(m); // dropped, and counted
  },
});
export default driver;
