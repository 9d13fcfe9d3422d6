/** `softc capture`: packets of an interface as pcapng. @module */
import { once } from "node:events";
import { closeSync, openSync, writeSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import process from "node:process";
import type { Command } from "commander";
import { SoftcError } from "../../mod.ts";
import { type Commands, type Context, count, table } from "./command.ts";
import { whole } from "./if.ts";

interface CaptureJSON {
  readonly id: string;
  readonly ifnet: string;
  readonly vnet: string;
  readonly packets: number;
  readonly missed: number;
  readonly bytes: number;
  readonly running: boolean;
  readonly ended?: string;
}

const LIMITS: readonly (readonly [string, string, string?])[] = [
  ["--count <n>", "end after so many packets", "1000"],
  ["--seconds <n>", "end after so long", "10"],
  ["--snap <bytes>", "bytes kept of each", "1984"],
];
const at = (id: string): string => `/api/capture/${encodeURIComponent(id)}`;
const text = (all: readonly CaptureJSON[]): string =>
  table([
    ["ID", "INTERFACE", "PACKETS", "MISSED", "BYTES", "STATE"],
    ...all.map((c) => [c.id, `${c.vnet}:${c.ifnet}`, c.packets, c.missed, c.bytes, c.ended ?? "running"]),
  ]);

const begin = (x: Context, ifnet: string, o: Readonly<Record<string, unknown>>): Promise<CaptureJSON> =>
  x.client().call<CaptureJSON>("POST", "/api/capture", {
    ifnet,
    ...Object.fromEntries(["count", "seconds", "snap"].map((k) => [k, whole(`--${k}`, o[k])])),
  });

/** Makes the file that a capture is written to. */
function create(file: string): number {
  try {
    return openSync(file, "w");
  } catch (cause) {
    throw new SoftcError("SOFTC_PCAP_FILE", `Cannot make the capture "${file}"`, {
      state: (cause as Error).message,
      wanted: "a file that can be written",
      fix: "give a path that can be written",
      cause,
    });
  }
}

/** Writes a capture out, to a file or standard output. Leaving early ends it well. What is refused touches no file. */
async function save(x: Context, path: string, file: unknown): Promise<void> {
  const response = await x.client().open("GET", path);
  if (file === undefined) return void await copy(response, undefined);
  let fd: number | undefined;
  try {
    fd = create(String(file));
    const bytes = await copy(response, fd);
    x.print({ file, bytes }, () => `${count(bytes)} bytes in ${String(file)}`);
  } finally {
    response.destroy();
    if (fd !== undefined) closeSync(fd);
  }
}

/** Writes what comes, to a file or standard output; answers how many bytes that were. */
async function copy(response: IncomingMessage, fd: number | undefined): Promise<number> {
  // Ctrl-C, or a reader that closes its pipe (head, tcpdump -c): enough.
  let enough = false;
  const leave = (): void => {
    enough = true;
    response.destroy();
  };
  process.once("SIGINT", leave);
  process.stdout.on("error", leave);
  let bytes = 0;
  try {
    for await (const chunk of response) {
      bytes += (chunk as Uint8Array).length;
      if (fd !== undefined) writeSync(fd, chunk as Uint8Array);
      else if (!process.stdout.write(chunk as Uint8Array)) {
        await Promise.race([once(process.stdout, "drain"), once(response, "close")]);
      }
    }
  } catch (e) {
    if (!enough) throw e;
  } finally {
    process.off("SIGINT", leave);
    process.stdout.off("error", leave);
  }
  return bytes;
}

/** Adds the commands. */
export function addCapture(cli: Commands, program: Command): void {
  const c = program.command("capture").description("packets of an interface as pcapng");
  const write: readonly [string, string] = ["--write <file>", "where to; standard output unless told"];
  cli.add(
    c,
    "live <name>",
    "capture and write it out as it comes; `capture NAME` is the same",
    "capture live wirea --count 100 --write wirea.pcapng",
    [...LIMITS, write],
    async (x, [name], o) => {
      const { id } = await begin(x, name!, o);
      try {
        await save(x, `${at(id)}/pcapng?follow=true`, o.write);
      } finally {
        await x.client().call("DELETE", at(id));
      }
    },
    { isDefault: true },
  );
  cli.add(
    c,
    "start <name>",
    "begin a capture that the system keeps",
    "capture start wirea --seconds 60",
    LIMITS,
    async (x, [name], o) => {
      const made = await begin(x, name!, o);
      x.print(made, () => text([made]));
    },
  );
  cli.add(c, "list", "captures that the system keeps", "capture list", [], async (x) => {
    const all = await x.client().call<CaptureJSON[]>("GET", "/api/capture");
    x.print(all, () => text(all));
  });
  cli.add(c, "stop <id>", "end one; what it has is kept", "capture stop 1", [], async (x, [id]) => {
    const ended = await x.client().call<CaptureJSON>("POST", `${at(id!)}/stop`);
    x.print(ended, () => text([ended]));
  });
  cli.add(
    c,
    "save <id>",
    "write one out, as far as it is",
    "capture save 1 --write wirea.pcapng",
    [write],
    (x, [id], o) => save(x, `${at(id!)}/pcapng`, o.write),
  );
  cli.add(c, "delete <id>", "end one and forget it", "capture delete 1", [], async (x, [id]) => {
    await x.client().call("DELETE", at(id!));
    x.print({ deleted: id }, () => `deleted ${id}`);
  });
}
