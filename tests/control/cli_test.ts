import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCli } from "../../control/mod.ts";
import { type Json, softc, withApi, withSession } from "./helper.ts";

const MAIN = new URL("../../control/cli/bin.ts", import.meta.url).pathname;
const LAB = new URL("../../examples/two-vnets.json", import.meta.url).pathname;

Deno.test("a system is built, looked at and taken down by commands; --json prints one document", () =>
  withSession({}, async (session) => {
    const ok = async (...args: string[]): Promise<Json> => {
      const people = args[0] === "if" && args[1] === "list"
        ? await softc(...args, "--session", session)
        : undefined;
      const { code, out, err } = await softc(...args, "--json", "--session", session);
      assertEquals([code, err], [0, ""], `${args.join(" ")}\n${out}`);
      assertMatch(out, /^[^\n]+\n$/);
      if (people !== undefined) assertMatch(people.out, /^NAME +HANDLE +VNET/);
      return JSON.parse(out);
    };
    await ok("module", "load", "softc:epair");
    await ok("vnet", "create", "a");
    await ok("vnet", "create", "b", "--discard");
    const [aba] = await ok("if", "create", "epair", "--vnet", "a", "--name", "ab", "--up");
    assertEquals([aba.name, aba.vnet, aba.flags.includes("UP")], ["aba", "a", true]);
    assertEquals((await ok("if", "move", "abb", "b")).ifnet.vnet, "b");
    assertEquals((await ok("if", "set", "aba", "--mtu", "900", "--promisc", "on")).mtu, 900);
    assertEquals(await ok("if", "show", "aba", "--why"), []);
    await ok("traffic", "start", "t", "a", "aba", "--count", "10");
    assertEquals((await ok("traffic", "list")).length, 1);
    await ok("traffic", "stop", "t");
    assertEquals((await ok("ledger")).unaccounted, 0);
    assertEquals((await ok("epoch")).blame, []);
    assertEquals((await ok("if", "list", "--vnet", "b")).length, 1);
    assertEquals((await ok("lab", "show")).links.length, 1);
    assertEquals((await ok("lab", "down")).steps.length, 4);
    assertEquals(await ok("if", "list"), []);
  }));

Deno.test("monitor prints the snapshot, then each event", () =>
  withSession({}, async (session) => {
    let out = "";
    let begun = (): void => {};
    const first = new Promise<void>((resolve) => begun = resolve);
    const run = runCli(["monitor", "--count", "1", "--session", session], {
      out: (t) => {
        out += t;
        begun();
      },
      err: () => {},
    });
    await first;
    await softc("vnet", "create", "a", "--session", session);
    assertEquals(await run, 0);
    assertMatch(out, /^#\d+ snapshot: 1 vnets, 0 interfaces\n#\d+ vnet a:?a?/);
  }));

Deno.test("exit codes: 1 refused, 2 usage, 3 environment", () =>
  withSession({}, async (session) => {
    await softc("module", "load", "softc:null", "--session", session);
    await softc("if", "create", "null", "--session", session);
    const refused = await softc("module", "unload", "null", "--session", session);
    assertEquals([refused.code, refused.out], [1, ""]);
    for (const word of ["in use by null0", "SOFTC_MODULE_BUSY EBUSY", "rule   3b", "fix    "]) {
      assertStringIncludes(refused.err, word);
    }
    const why = await softc("module", "unload", "null", "--explain", "--session", session);
    assertEquals([why.code, why.out], [1, "module null\n└─ interface null0 is attached\n"]);
    const json = await softc("if", "show", "x", "--json", "--session", session);
    assertEquals([json.code, JSON.parse(json.err).code], [1, "SOFTC_IF_UNKNOWN"]);
    const lab = await softc("lab", "diff", LAB, "--session", session);
    assertEquals(lab.code, 2); // its CPUs are not this system's
    for (
      const args of [["bogus"], ["if"], ["if", "show"], ["if", "list", "--colour"], ["explain", "nonsense"]]
    ) {
      assertEquals((await softc(...args)).code, 2, args.join(" "));
    }
    for (
      const args of [["if", "list", "--session", "/nonexistent/x"], ["start", "/nonexistent/x.lab.json"]]
    ) {
      assertEquals((await softc(...args)).code, 3, args.join(" "));
    }
  }));

Deno.test("every command has --help with an example, and --json", async () => {
  const commands = (text: string): string[] =>
    [...(text.split("\nCommands:\n")[1]?.split("\n\n")[0] ?? "").matchAll(/^ {2}([a-z]\S*)/gm)].map((m) =>
      m[1]!
    )
      .filter((c) => c !== "help");
  const leaves: string[][] = [];
  const visit = async (path: string[]): Promise<void> => {
    const { code, out } = await softc(...path, "--help");
    assertEquals(code, 0, path.join(" "));
    const below = commands(out);
    if (below.length === 0) {
      leaves.push(path);
      assertStringIncludes(out, `Example:\n  $ softc ${path.join(" ")}`);
      assertStringIncludes(out, "--json");
    }
    for (const c of below) await visit([...path, c]);
  };
  await visit([]);
  assert(leaves.length >= 30, leaves.map((l) => l.join(" ")).join("\n"));
});

Deno.test("explain knows every error code, drop reason and state", async () => {
  for (
    const [word, part] of [["SOFTC_IF_GONE", "resolve the handle"], ["noroute", "no route"], [
      "wedged",
      "deadline",
    ]]
  ) {
    const { code, out } = await softc("explain", word!);
    assertEquals(code, 0);
    assertStringIncludes(out, part!);
  }
});

Deno.test("a UNIX socket is the owner's alone, and the commands reach it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await withApi({ socket: `${folder}/softc.sock` }, async ({ server: { url, token } }) => {
      assertEquals(url, `unix:${folder}/softc.sock`);
      assertEquals((await Deno.stat(`${folder}/softc.sock`)).mode! & 0o777, 0o600);
      const session = `${folder}/session.json`;
      await Deno.writeTextFile(session, JSON.stringify({ url, token, pid: 0 }));
      assertEquals((await softc("vnet", "create", "a", "--session", session)).code, 0);
      const { out } = await softc("vnet", "list", "--json", "--session", session);
      assertEquals(JSON.parse(out).length, 2);
      await Deno.writeTextFile(session, JSON.stringify({ url, token: "wrong", pid: 0 }));
      assertEquals((await softc("vnet", "list", "--session", session)).code, 3);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a socket that a killed system left is taken over, one in use and a file are not", async () => {
  const folder = await Deno.makeTempDir();
  const socket = `${folder}/softc.sock`;
  try {
    await withApi({ socket }, async () => {
      const { code, err } = await softc(
        "start",
        "--cpus",
        "1",
        "--socket",
        socket,
        "--session",
        `${folder}/s`,
      );
      assertEquals(code, 3);
      assertStringIncludes(err, "SOFTC_API_LISTEN");
    });
    // Closed well, nothing is left of it.
    assertEquals([...Deno.readDirSync(folder)], []);
    const killed = `Deno.listen({ transport: "unix", path: ${
      JSON.stringify(socket)
    } }); Deno.kill(Deno.pid, "SIGKILL");`;
    await new Deno.Command(Deno.execPath(), { args: ["eval", killed], stderr: "null" }).output();
    assertEquals([...Deno.readDirSync(folder)].length, 1);
    await withApi({ socket }, ({ server }) => Promise.resolve(assertEquals(server.url, `unix:${socket}`)));
    await Deno.writeTextFile(socket, "mine");
    const { code } = await softc("start", "--cpus", "1", "--socket", socket, "--session", `${folder}/s`);
    assertEquals([code, await Deno.readTextFile(socket)], [3, "mine"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a port in use is told", () =>
  withApi({}, async ({ server }) => {
    const session = await Deno.makeTempFile();
    const { code, err } = await softc(
      "start",
      "--cpus",
      "1",
      "--port",
      new URL(server.url).port,
      "--session",
      session,
    );
    assertEquals(code, 3);
    assertStringIncludes(err, "SOFTC_API_LISTEN");
    await Deno.remove(session);
  }));

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`start runs a lab with its API, and ${signal} leaves nothing behind`, async () => {
    const folder = await Deno.makeTempDir();
    const session = `${folder}/own/session.json`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, "start", LAB, "--json", "--session", session],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(child.stderr).text();
    try {
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let line = "";
      while (!line.includes("\n")) {
        const { value, done } = await reader.read();
        assert(!done, `ended early: ${line}`);
        line += value;
      }
      const { url, token } = JSON.parse(line);
      assertEquals((await Deno.stat(session)).mode! & 0o777, 0o600);
      assertEquals((await Deno.stat(`${folder}/own`)).mode! & 0o777, 0o700);
      const health = await fetch(`${url}/health`);
      assertEquals([health.status, (await health.json()).cpus], [200, 2]);
      const all = await fetch(`${url}/api/if`, { headers: { authorization: `Bearer ${token}` } });
      assertEquals((await all.json()).length, 6);
      assertEquals((await softc("lab", "diff", LAB, "--session", session)).code, 0);
      child.kill(signal);
      const rest = (await reader.read()).value;
      assertEquals(rest, undefined);
      await reader.cancel();
    } finally {
      try {
        child.kill("SIGKILL");
      } catch { /* it has ended */ }
    }
    assertEquals([(await child.status).code, await stderr], [0, ""]);
    assertEquals([...Deno.readDirSync(`${folder}/own`)], []);
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("doctor without permissions names each that is missing, with its flag, and fails", async () => {
  const args = ["run", "--no-prompt", "--no-lock", MAIN, "doctor"];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assertEquals([code, err], [1, ""]);
  for (
    const says of [
      "FAIL permission to read the package, which every CPU imports: Requires read access",
      "     fix: deno: --allow-read",
      "-    permission to use 127.0.0.1, which the API needs: no: Requires net access",
      "FAIL two CPUs boot and close their books: no: it needs to read the package",
    ]
  ) assertStringIncludes(out!, says);
});

Deno.test("doctor tells which features and layers of tests run here, and why the rest does not", async () => {
  const { out } = await softc("doctor", "--json", "--session", "/nonexistent/x");
  const rows: { name: string; ok: boolean; found: string }[] = JSON.parse(out);
  const optional = rows.filter((r) => /^(feature|tests): /.test(r.name));
  assert(optional.length >= 8, out);
  for (const r of optional) assertMatch(r.found, /^(yes|no: .+)$/, r.name);
  assertEquals(optional.find((r) => r.name === "tests: deno task test")?.found, "yes");
  const text = (await softc("doctor", "--session", "/nonexistent/x")).out;
  assertStringIncludes(text, "-    a running system answers: no: ");
});
