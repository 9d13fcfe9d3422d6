/** Commands that tests run. @module */
/** What came of a command. */
export interface Output {
  readonly code: number;
  /** What it said, on both streams. */
  readonly text: string;
}

/** Runs a command to its end, or to a deadline. */
export async function run(command: readonly string[], stdin?: string, deadline = 20_000): Promise<Output> {
  const child = new Deno.Command(command[0]!, {
    args: command.slice(1),
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(deadline),
    env: { LC_ALL: "C" },
  }).spawn();
  if (stdin !== undefined) {
    const w = child.stdin.getWriter();
    await w.write(new TextEncoder().encode(stdin));
    await w.close();
  }
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Whether a command succeeds. */
export function runs(command: readonly string[]): boolean {
  try {
    return new Deno.Command(command[0]!, { args: command.slice(1), stdout: "null", stderr: "null" })
      .outputSync()
      .success;
  } catch {
    return false;
  }
}
