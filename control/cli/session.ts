/**
 * The session file: where the running system answers, and its token. Mode 0600 in a folder of mode 0700.
 *
 * @module
 */
import { chmodSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { SoftcError } from "../../mod.ts";

/** What a session file says. */
export interface Session {
  readonly url: string;
  readonly token: string;
  readonly pid: number;
}

/** The session file's path: `--session`, `SOFTC_SESSION`, or the user's own folder. */
export function sessionPath(given?: string): string {
  return given ?? process.env.SOFTC_SESSION ?? join(ownFolder(), "session.json");
}

/** A new file in the place of the old: nobody reads half of it, nor with another's rights. */
export function writeSession(path: string, session: Session): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (folder === ownFolder()) assertOwn(folder);
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(session), { mode: 0o600, flag: "wx" });
  chmodSync(draft, 0o600);
  renameSync(draft, path);
}

/** Takes the file away, unless another system's is there by now. */
export function removeSession(path: string): void {
  try {
    if (read(path)?.pid === process.pid) rmSync(path, { force: true });
  } catch { /* somebody else took it away */ }
}

/** The session to talk to. @throws {SoftcError} `SOFTC_API_CONNECT` */
export function readSession(given?: string): Session {
  const path = sessionPath(given);
  const session = read(path);
  if (session !== undefined) return session;
  throw new SoftcError("SOFTC_API_CONNECT", "Cannot find a running system", {
    state: `no session file ${path}`,
    wanted: "a running system",
  });
}

function read(path: string): Session | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Session;
  } catch {
    return undefined;
  }
}

function ownFolder(): string {
  const user = process.getuid?.() ?? "user";
  return join(process.env.XDG_RUNTIME_DIR ?? tmpdir(), `softc-${user}`);
}

/** In a shared /tmp somebody else could have made the folder first, to read tokens. */
function assertOwn(folder: string): void {
  const s = lstatSync(folder);
  const own = process.getuid === undefined || s.uid === process.getuid();
  if (own && s.isDirectory() && (s.mode & 0o077) === 0) return;
  throw new SoftcError("SOFTC_API_LISTEN", `Cannot keep the token in ${folder}`, {
    state: "others can reach it",
    wanted: "a folder of mode 0700 that is yours",
    fix: "remove the folder, or give --session PATH",
  });
}
