/** `softc lab`: one file for the whole system. @module */
import type { Command } from "commander";
import type { Lab } from "../lab/schema.ts";
import { type Commands, EXIT } from "./command.ts";
import { readLab, start, START_OPTIONS } from "./start.ts";

interface Steps {
  readonly steps: string[];
}

const text = (s: Steps, none: string): string => s.steps.length === 0 ? none : s.steps.join("\n");

/** Adds the commands. */
export function addLab(cli: Commands, program: Command): void {
  const c = program.command("lab").description("a whole system from one file");
  cli.add(
    c,
    "up <file>",
    "run a system as the file says, until Ctrl-C",
    "lab up two-vnets.json",
    START_OPTIONS,
    start,
  );
  cli.add(
    c,
    "diff <file>",
    "what an apply would do; exit code 1 when there is a difference",
    "lab diff two-vnets.json",
    [],
    async (x, [file]) => {
      const steps = await x.client().call<Steps>("POST", "/api/lab/diff", readLab(file!));
      x.print(steps, () => text(steps, "no difference"));
      return steps.steps.length === 0 ? EXIT.ok : EXIT.failed;
    },
  );
  cli.add(
    c,
    "apply <file>",
    "make the running system what the file says: all of it, or nothing",
    "lab apply two-vnets.json",
    [],
    async (x, [file]) => {
      const steps = await x.client().call<Steps>("PUT", "/api/lab", readLab(file!));
      x.print(steps, () => text(steps, "nothing to do"));
    },
  );
  cli.add(c, "down", "take everything down; the system runs on, empty", "lab down", [], async (x) => {
    const steps = await x.client().call<Steps>("DELETE", "/api/lab");
    x.print(steps, () => text(steps, "nothing to do"));
  });
  cli.add(c, "show", "the running system as a lab file", "lab show > now.lab.json", [], async (x) => {
    const lab = await x.client().call<Lab>("GET", "/api/lab");
    x.print(lab, () => JSON.stringify(lab, undefined, 2));
  });
}
