/** A driver is something that one reads: the driver proper is short, and has a page. */
import { assert } from "@std/assert";
import { read } from "./tree.ts";

/** Lines at most of the driver proper: its hooks and its way of a packet. Queues, formats and transports have files of their own. */
const PROPER: readonly [name: string, most: number, files: readonly string[]][] = [
  ["loopback", 150, ["loopback.ts"]],
  ["virtio", 400, ["virtio/net.ts", "virtio/pair.ts"]],
  ["usb", 400, ["usb/cdc.ts"]],
];

for (const [name, most, files] of PROPER) {
  Deno.test(`the driver proper of ${name} has at most ${most} lines, and a page`, () => {
    const lines = files.reduce((n, f) => n + read(`drivers/${f}`).trimEnd().split("\n").length, 0);
    assert(lines <= most, `${files.join(" and ")}: ${lines} lines`);
    assert(read(`docs/drivers/${name}.md`).length > 500);
    assert(read("docs/drivers.md").includes(`](drivers/${name}.md)`));
  });
}
