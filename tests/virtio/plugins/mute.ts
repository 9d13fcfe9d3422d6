/**
 * A virtio device that goes mute: it starts, and answers no status from then on. It keeps the addresses of the
 * buffers that it was given, and writes into them whenever its interface is told to send: late DMA.
 */
import { defineDriver, type Dev, type Driver, struct } from "../../../core/device/mod.ts";
import { DESC, Features, queueLayout, STATUS, WINDOW } from "../../../drivers/virtio/mod.ts";

const ENTRIES = 64;

class Mute {
  #given: { at: number; len: number }[] = [];
  #started = false;

  constructor(readonly dev: Dev) {
    const offer = Features.of("VERSION_1");
    const words = [[WINDOW.offerHigh, offer.high], [WINDOW.queues, 2], [WINDOW.entries, ENTRIES]] as const;
    for (const [at, value] of words) dev.dma.set(dev.window + at, value);
    dev.dma.set(dev.window + WINDOW.cpu, dev.cpu);
    dev.listen(dev.window + WINDOW.toDevice + 4 * 9, () => this.#asked());
    dev.dma.set(dev.window + WINDOW.magic, WINDOW.MAGIC);
    dev.dma.store(dev.window + WINDOW.alive, 1);
  }

  scribble(): void {
    for (const { at, len } of this.#given) this.dev.dma.u8.fill(0xee, at, at + len);
  }

  #asked(): void {
    const { dma, window } = this.dev;
    if (this.#started) return;
    const asked = dma.load(window + WINDOW.asked);
    const status = dma.get(window + WINDOW.wanted);
    this.#started = (status & STATUS.DRIVER_OK) !== 0;
    dma.set(window + WINDOW.status, status);
    dma.store(window + WINDOW.answered, asked);
    this.dev.kick(dma.get(window + WINDOW.driverCpu), window + WINDOW.toDriver + 4 * 9);
    if (!this.#started) return;
    // What is posted right after this is seen by the next kick of the receive queue.
    this.dev.listen(window + WINDOW.toDevice, () => this.#take());
  }

  #take(): void {
    const { dma, window } = this.dev;
    const desc = dma.get(window + WINDOW.queue + 4);
    const posted = dma.load(desc + queueLayout(ENTRIES).avail) >>> 16;
    this.#given = Array.from({ length: posted }, (_, i) => {
      const d = desc + i * DESC.BYTES;
      return { at: dma.get(d), len: dma.get(d + 8) };
    });
    this.dev.count("given", posted);
  }
}

const mute: Driver<undefined> = defineDriver({
  name: "mute",
  api: 1,
  cloner: "mute",
  shared: struct({ window: ["i32", WINDOW.BYTES >> 2] }),
  attach(dev: Dev<undefined, { window: readonly ["i32", number] }>) {
    dev.ifnet({ type: "ether" });
    return new Mute(dev as unknown as Dev);
  },
  transmit(sc, b) {
    sc.scribble();
    return b.freeAll();
  },
});
export default mute;
