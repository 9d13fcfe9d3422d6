/** virtio-net with several queue pairs passes the conformance test: on its home CPU, and one on every CPU. */
import { conformance } from "../../testing/mod.ts";
import { vhost } from "../conformance/devices.ts";

const url = new URL("../../drivers/virtio/mod.ts", import.meta.url);
const test = (driver: string) => (name: string, fn: () => Promise<void>): void =>
  Deno.test(`${driver}: ${name}`, fn);

conformance(url, {
  cloner: "vtnet",
  device: vhost(2),
  options: { pairs: 2 },
  test: test("virtio-net, 2 pairs"),
});
conformance(url, { cloner: "vtnetq", device: vhost(2, { multiqueue: 1 }), test: test("virtio-net-mq") });
