/** Peers written in C: built when a compiler and their packages are there, asked over pipes. @module */
import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Sample, type Sampler, Skip } from "../harness.ts";

/** A peer program and what it is built with. */
interface Program {
  /** Debian packages that it needs besides gcc. */
  readonly packages: readonly string[];
  readonly flags: readonly string[];
  /** Asked for more flags. */
  readonly pkgConfig?: string;
  readonly libs: readonly string[];
}

const PROGRAMS: Readonly<Record<string, Program>> = {
  epoch: {
    packages: ["libck-dev", "liburcu-dev"],
    flags: ["-O2"],
    libs: ["-lck", "-lurcu", "-lurcu-common"],
  },
  ring: {
    packages: ["dpdk-dev"],
    flags: ["-O3", "-march=native"],
    pkgConfig: "libdpdk",
    libs: ["-lrte_ring", "-lrte_eal"],
  },
  transmit: { packages: [], flags: ["-O3", "-march=native"], libs: [] },
  veth: { packages: ["iproute2"], flags: ["-O2"], libs: [] },
};

/** What a command printed, or undefined when it is missing or failed; its complaint in `failed`. */
async function output(
  command: string,
  args: readonly string[],
): Promise<{ out?: string; failed?: string }> {
  return await new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let out = "", err = "";
    child.stdout.on(
      "data",
      (d: Uint8Array) => out += new TextDecoder().decode(d),
    );
    child.stderr.on(
      "data",
      (d: Uint8Array) => err += new TextDecoder().decode(d),
    );
    child.on("error", () => resolve({ failed: `no ${command} here` }));
    child.on(
      "close",
      (code) =>
        resolve(
          code === 0 ? { out } : { failed: err.trim().split("\n")[0] ?? `exit ${code}` },
        ),
    );
  });
}

const built = new Map<string, Promise<string>>();

/** Builds a program once per version of its source. @throws {Skip} */
function build(name: string): Promise<string> {
  let path = built.get(name);
  if (path === undefined) built.set(name, path = compile(name));
  return path;
}

async function compile(name: string): Promise<string> {
  const { packages, flags, pkgConfig, libs } = PROGRAMS[name]!;
  const source = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
  const hash = createHash("sha256");
  for (const file of ["./peer.h", `./${name}.c`]) {
    hash.update(readFileSync(source(file)));
  }
  const directory = join(tmpdir(), "softc-bench-peers");
  const target = join(directory, `${name}-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(target)) return target;
  mkdirSync(directory, { recursive: true });
  const wanted = `needs gcc${packages.length > 0 ? ` and ${packages.join(", ")}` : ""}`;
  const extra = pkgConfig === undefined ? { out: "" } : await output("pkg-config", ["--cflags", pkgConfig]);
  if (extra.out === undefined) throw new Skip(`${wanted}: ${extra.failed}`);
  const more = extra.out.split(/\s+/).filter((flag) => flag !== "");
  const made = await output(
    "gcc",
    [
      ...flags,
      ...more,
      "-pthread",
      "-o",
      target,
      source(`./${name}.c`),
      ...libs,
    ],
  );
  if (made.failed !== undefined) throw new Skip(`${wanted}: ${made.failed}`);
  return target;
}

/** A child process that is asked by lines and answers with text. */
class Child {
  readonly #child;
  #text = "";
  #waiting: {
    wanted: RegExp;
    got: (m: RegExpMatchArray) => void;
    lost: (e: Error) => void;
  } | undefined;
  #over = false;

  constructor(command: string, args: readonly string[]) {
    const child = this.#child = spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
    });
    const take = (d: Uint8Array): void => {
      this.#text += new TextDecoder().decode(d);
      const match = this.#waiting && this.#text.match(this.#waiting.wanted);
      if (!match) return;
      this.#text = "";
      this.#waiting!.got(match);
      this.#waiting = undefined;
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const over = (): void => {
      this.#over = true;
      this.#waiting?.lost(this.#ended());
    };
    child.on("error", (e) => (this.#text = e.message, over()));
    child.on("close", over);
    child.stdin.on("error", () => {});
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Writes a line and resolves when the text that follows matches. */
  ask(line: string, wanted: RegExp): Promise<RegExpMatchArray> {
    if (this.#over) return Promise.reject(this.#ended());
    const answer = new Promise<RegExpMatchArray>((got, lost) => this.#waiting = { wanted, got, lost });
    if (line !== "") this.#child.stdin.write(`${line}\n`);
    return answer;
  }

  async end(last = ""): Promise<void> {
    if (this.#over) return;
    const closed = new Promise<void>((resolve) => this.#child.once("close", () => resolve()));
    this.#child.stdin.end(last);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 3000);
    await closed;
    clearTimeout(timer);
  }

  #ended(): Skip {
    return new Skip(
      `it ended: ${this.#text.trim().split("\n").at(-1) || "no output"}`,
    );
  }
}

/** What a peer is asked to do. */
export interface PeerJob {
  /** Program in this directory. */
  readonly program: string;
  /** Case of the program. */
  readonly name: string;
  readonly batch?: number;
  readonly bytes?: number;
}

/** Starts a peer. @throws {Skip} when it cannot be built here */
export async function peer(job: PeerJob): Promise<Sampler> {
  const path = await build(job.program);
  return asked(new Child(path, []), job);
}

function asked(child: Child, job: PeerJob): Sampler {
  return {
    sample: async (ms): Promise<Sample> => {
      const line = `${job.name} ${job.batch ?? 1} ${job.bytes ?? 64} ${ms}`;
      const [, value, wait] = await child.ask(line, /^([\d.e+-]+) ([\d.]+)$/m);
      return { value: Number(value), wait: Number(wait) };
    },
    teardown: () => child.end(),
  };
}

/** sendmmsg over veth, in a network namespace of its own. @throws {Skip} without the right to make one */
export async function veth(batch: number, bytes: number): Promise<Sampler> {
  const path = await build("veth");
  const script =
    'ip link add va type veth peer name vb && ip link set va up && ip link set vb up && exec "$0" va';
  const child = new Child("unshare", ["-n", "sh", "-c", script, path]);
  return asked(child, { program: "veth", name: "sendmmsg", batch, bytes });
}

/** sendmmsg out of an interface of a named network namespace. @throws {Skip} when it cannot be built here */
export async function sendmmsg(
  netns: string,
  device: string,
  batch: number,
  bytes: number,
): Promise<Sampler> {
  const path = await build("veth");
  return asked(new Child("ip", ["netns", "exec", netns, path, device]), {
    program: "veth",
    name: "sendmmsg",
    batch,
    bytes,
  });
}

/** Milliseconds that testpmd forwards at least: it starts and stops slowly. */
const TESTPMD_MS = 50;

/** DPDK's testpmd, transmit only, on a null device; packets per second that its core ran. @throws {Skip} */
export async function testpmd(batch: number, bytes: number): Promise<Sampler> {
  const { failed } = await output("dpdk-testpmd", ["--version"]);
  if (failed === "no dpdk-testpmd here") {
    throw new Skip("needs dpdk (dpdk-testpmd)");
  }
  const child = new Child("stdbuf", [
    ..."-oL dpdk-testpmd --no-huge -m 512 --no-pci -l 0,1 --no-telemetry".split(
      " ",
    ),
    `--file-prefix=softc${Date.now()}`,
    `--vdev=net_null0,size=${bytes}`,
    ..."-- -i --nb-cores=1 --forward-mode=txonly --total-num-mbufs=8192 --no-flush-rx"
      .split(" "),
    `--burst=${batch}`,
    `--txpkts=${bytes}`,
  ]);
  await child.ask("", /testpmd> $/);
  const worker = (): { ran: number; waited: number } => {
    const [ran, waited] = readFileSync(
      `/proc/${child.pid}/task/${lcore(child.pid)}/schedstat`,
      "utf8",
    )
      .split(" ");
    return { ran: Number(ran), waited: Number(waited) };
  };
  return {
    sample: async (ms) => {
      const before = worker();
      await child.ask("start", /testpmd> $/);
      await new Promise((resolve) => setTimeout(resolve, Math.max(ms, TESTPMD_MS)));
      const [, packets] = await child.ask(
        "stop",
        /TX-packets:\s*(\d+)[^]*testpmd> $/,
      );
      const after = worker();
      const ran = after.ran - before.ran;
      return {
        value: Number(packets) / ran * 1e3,
        wait: (after.waited - before.waited) / ran,
      };
    },
    teardown: () => child.end("quit\n"),
  };
}

/** The thread of testpmd that forwards. */
function lcore(pid: number): string {
  for (const id of Deno.readDirSync(`/proc/${pid}/task`)) {
    const name = readFileSync(`/proc/${pid}/task/${id.name}/comm`, "utf8");
    if (/worker|lcore/.test(name)) return id.name;
  }
  throw new Skip("testpmd has no forwarding thread");
}
