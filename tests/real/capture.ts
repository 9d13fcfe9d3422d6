/**
 * A capture of what interfaces send and receive, which tshark judges.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { PcapngWriter } from "../../drivers/pcap/writer.ts";
import type { Ifnet } from "../../mod.ts";
import { run } from "./run.ts";

/** What tshark may not find in a frame. */
const BAD = [
  "_ws.malformed",
  ...["ip", "udp", "tcp", "icmp", "icmpv6", "igmp"].map((p) => `${p}.checksum.status == 0`),
].join(" || ");

/** A capture of several interfaces. */
export class Capture {
  readonly #writer = new PcapngWriter("softc test");
  /** Frames that were captured. */
  frames = 0;

  /** Captures all that an interface sends and receives, or the first `most` frames of it. */
  add(i: Ifnet, most = Infinity): void {
    const number = this.#writer.addInterface({ name: i.name });
    let n = 0;
    i.tap({
      onPacket: (p) => {
        if (n++ >= most) return;
        this.frames++;
        this.#writer.frame({
          interface: number,
          at: BigInt(Date.now()) * 1_000_000n,
          bytes: p.bytes,
          direction: p.direction,
          originalLength: p.length,
        });
      },
    });
  }

  /** tshark finds no malformed frame and no bad checksum. */
  async judged(): Promise<void> {
    if (this.frames === 0) return;
    const path = await Deno.makeTempFile({ suffix: ".pcapng" });
    try {
      await Deno.writeFile(path, this.#writer.take());
      const checks = ["ip", "udp", "tcp"].flatMap((p) => ["-o", `${p}.check_checksum:TRUE`]);
      const { code, text } = await run(["tshark", "-r", path, ...checks, "-Y", BAD], undefined, 60_000);
      assertEquals(code, 0, text);
      assertEquals(text.split("\n").filter((line) => line !== "" && !/^Running as user/.test(line)), []);
    } finally {
      await Deno.remove(path);
    }
  }
}
