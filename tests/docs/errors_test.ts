/** Every program of docs/errors.md is run, and gets its code. */
import { assert, assertEquals } from "@std/assert";
import type { Code } from "../../core/error.ts";
import * as pcap from "../../drivers/pcap/mod.ts";
import * as softc from "../../mod.ts";
import * as control from "../../control/mod.ts";
import { type ControlServer, runCli } from "../../control/mod.ts";
import { API_PRELUDE, ERROR_EXAMPLES, type ErrorExample } from "../../scripts/error_examples.ts";
import * as vnet from "../../vnet/mod.ts";
import { assertNoLeaks, poll } from "../helpers/leaks.ts";

const AsyncFunction = (async () => {}).constructor as new (...source: string[]) => (
  ...values: unknown[]
) => Promise<unknown>;

/** Codes of an error, of what caused it, and of those that its message names. */
function codes(e: unknown): string[] {
  if (!(e instanceof Error)) return [String(e)];
  const here = [...String(e.message).matchAll(/SOFTC_[A-Z_]+/g)].map((m) => m[0]);
  return [...(here.length > 0 ? here : [e.message]), ...(e.cause === undefined ? [] : codes(e.cause))];
}

/** Command lines in front of a served kernel: `echo 'TEXT' > FILE`, and `softc` in this process. What `softc` said. */
async function shell(lines: string, folder: string, session: string): Promise<string> {
  let said = "";
  for (const line of lines.split("\n")) {
    const echo = /^echo '(.*)' > (\S+)$/.exec(line);
    if (echo !== null) {
      Deno.writeTextFileSync(`${folder}/${echo[2]}`, echo[1]!);
      continue;
    }
    const [name, ...words] = line.split(" ");
    assertEquals(name, "softc");
    const args = words.map((w) => /\.(json|pcapng)$/.test(w) ? `${folder}/${w}` : w);
    if (!args.includes("--session")) args.push("--session", session);
    await runCli(args, { out: (t) => void (said += t), err: (t) => void (said += t) });
  }
  return said;
}

/** Runs an example in a kernel of its own; what it threw or said, and the faults that it brought about. */
async function outcome(folder: string, x: ErrorExample): Promise<string[]> {
  const faults: unknown[] = [];
  let thrown: unknown;
  await assertNoLeaks(async (watch) => {
    const kernel = watch(
      await softc.boot({ debug: true, hookDeadline: 300, onFault: (e) => void faults.push(e) }),
    );
    await kernel.modules.load("softc:null");
    await kernel.modules.load("softc:epair");
    const [nic] = await softc.ifCloneCreate(kernel.vnet0, "null");
    await nic.up();
    const file = `${folder}/${crypto.randomUUID()}.ts`;
    const api = new URL("../../core/device/mod.ts", import.meta.url);
    Deno.writeTextFileSync(
      file,
      `import { struct } from "${api}";
export default ${x.driver ?? "{}"};\n`,
    );
    const send = (i: softc.Ifnet): number =>
      i.vnet.section((s) => softc.ifOutput(s, softc.ifnetByHandle(s, i.handle)!, softc.mAlloc(s, 1, 60)));
    const { default: _driver, ...files } = pcap;
    const servers: ControlServer[] = [];
    const serveControl = async (...a: Parameters<typeof control.serveControl>): Promise<ControlServer> => {
      const server = await control.serveControl(...a);
      servers.push(server);
      return server;
    };
    const scope = {
      ...softc,
      ...vnet,
      ...files,
      ...control,
      serveControl,
      kernel,
      vnet0: kernel.vnet0,
      nic,
      send,
      driver: file,
    };
    try {
      if (x.shell !== undefined) {
        const { url, token } = await serveControl(kernel);
        const session = `${folder}/session.json`;
        Deno.writeTextFileSync(session, JSON.stringify({ url, token, pid: 0 }));
        throw new Error(await shell(x.shell, folder, session));
      }
      const run = x.api === undefined ? x.run : `${API_PRELUDE}\n${x.api}`;
      await new AsyncFunction(...Object.keys(scope), `"use strict";\n${run}`)(...Object.values(scope));
      await poll(() => faults.length > 0, 3000);
    } catch (e) {
      thrown = e;
    }
    for (const s of servers) await s.close();
    await kernel.shutdown({ deadline: 1000 });
  });
  return [...codes(thrown), ...faults.flatMap(codes)];
}

Deno.test("every example on the page of error codes gets its code", async (t) => {
  const folder = Deno.makeTempDirSync({ prefix: "softc-errors-" });
  try {
    for (const [code, x] of Object.entries(ERROR_EXAMPLES)) {
      if (x.untried !== undefined) continue;
      await t.step(code, async () => {
        const got = await outcome(folder, x);
        const text = x.run ?? x.api ?? x.shell;
        assert(got.includes(code as Code), `${code} from:\n${text}\ngot ${got.join(", ") || "nothing"}`);
      });
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a code has one example that is run, or says why not; those are few", () => {
  const all: [string, ErrorExample][] = Object.entries(ERROR_EXAMPLES);
  const wrong = all.filter(([, x]) =>
    [x.run, x.api, x.shell, x.untried].filter((y) => y !== undefined).length !== 1
  );
  assertEquals(wrong.map(([code]) => code), []);
  assertEquals(all.filter(([, x]) => x.untried !== undefined).map(([code]) => code), [
    "SOFTC_EPOCH_INSIDE",
    "SOFTC_IF_NOT_ATTACHED",
    "SOFTC_HOST_PERMISSIONS",
    "SOFTC_HOST_PROTOCOL",
    "SOFTC_MBUF_CORRUPT",
    "SOFTC_API_INTERNAL",
  ]);
});
