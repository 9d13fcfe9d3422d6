/** Ctrl-C, and what else ends a command that runs until it is told to stop. @module */
import process from "node:process";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Resolves at the first signal. */
export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      for (const s of SIGNALS) process.off(s, end);
      resolve();
    };
    for (const s of SIGNALS) process.on(s, end);
  });
}
