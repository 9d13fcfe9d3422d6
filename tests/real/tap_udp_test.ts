/**
 * UDP between Linux and softc, both ways, with socat on Linux's side.
 *
 * Needs root, /dev/net/tun, iproute2, socat and tshark; skips with a reason.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { inetAddress, udpOpen } from "../../vnet/mod.ts";
import { run } from "./run.ts";
import { lab, missing } from "./tap_linux.ts";

const why = missing(["socat", "-V"]);
if (why !== undefined) console.log(`skipped: UDP against Linux through a tap: ${why}`);

const text = new TextDecoder();

for (
  const [family, theirs, ours, prefix] of [[4, "10.7.0.1", "10.7.0.2", 24], [
    6,
    "fd07::1",
    "fd07::2",
    64,
  ]] as const
) {
  for (const cpus of [1, 2]) {
    Deno.test({
      name: `UDP over IPv${family} with socat, both ways, small and in fragments (${cpus} CPU)`,
      ignore: why !== undefined,
      fn: () =>
        lab({ cpus }, async ({ kernel, tap, netns }) => {
          await run([
            "ip",
            "-n",
            netns,
            "addr",
            "add",
            `${theirs}/${prefix}`,
            "dev",
            "tap0",
            ...(family === 6 ? ["nodad"] : []),
          ]);
          await run(["ip", "-n", netns, "link", "set", "tap0", "up"]);
          await inetAddress(tap, `${ours}/${prefix}`, { dad: false });
          const socket = udpOpen(kernel.vnet0, { port: 7000, family });
          const echo = (async () => {
            for await (const d of socket) {
              if (text.decode(d.data) === "end\n") break;
              socket.send(d.data, d);
            }
          })();
          const host = family === 6 ? `[${ours}]` : ours;
          for (const size of [1, 1000, 6000]) {
            const message = "x".repeat(size);
            const r = await run(
              [
                "ip",
                "netns",
                "exec",
                netns,
                "socat",
                "-b",
                "9000",
                "-t",
                "1",
                "-",
                `UDP${family}:${host}:7000`,
              ],
              message,
            );
            assertEquals(r.text, message);
          }
          await run(
            ["ip", "netns", "exec", netns, "socat", "-t", "0.2", "-", `UDP${family}:${host}:7000`],
            "end\n",
          );
          await echo;

          // The other way: softc speaks first to an echo of Linux's.
          const server = new Deno.Command("ip", {
            args: ["netns", "exec", netns, "socat", "-T", "3", `UDP${family}-LISTEN:7001,fork`, "EXEC:cat"],
            stdout: "null",
            stderr: "null",
          }).spawn();
          const client = udpOpen(kernel.vnet0, { connect: { address: theirs, port: 7001 } });
          let answer: string | undefined;
          for (let i = 0; i < 50 && answer === undefined; i++) {
            assertEquals(client.send(new TextEncoder().encode("hello")), 0);
            answer = text.decode((await client.receive(100))?.data) || undefined;
          }
          assertEquals(answer, "hello");
          client.close();
          server.kill();
          await server.status;

          // Nobody listens: Linux says so, and the socket hears it.
          const nobody = udpOpen(kernel.vnet0, { connect: { address: theirs, port: 7002 } });
          for (let i = 0; i < 50 && nobody.error === undefined; i++) {
            nobody.send(new Uint8Array(4));
            await nobody.receive(20);
          }
          assertEquals([nobody.error?.type, nobody.error?.code], family === 4 ? [3, 3] : [1, 4]);
          nobody.close();
        }),
    });
  }
}
