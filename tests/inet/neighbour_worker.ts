/** Learns two MAC addresses in turn, until it is told to stop. @module */
import { LEARN, neighbourLearn } from "../../vnet/inet/neighbour.ts";

/** What is used of a worker's scope. */
interface Scope {
  onmessage: (e: MessageEvent<{ memory: SharedArrayBuffer; stop: number }>) => void;
  postMessage(message: unknown): void;
  close(): void;
}

const scope = self as unknown as Scope;
scope.onmessage = (e) => {
  const a = new Int32Array(e.data.memory);
  let n = 0;
  for (; Atomics.load(a, e.data.stop) === 0; n++) {
    const x = n % 2 === 0 ? 0x0202 : 0x0404;
    neighbourLearn(a, 0, 1, 2, 3, 4, x, x * 0x10001, LEARN.create | LEARN.override | LEARN.confirmed);
  }
  scope.postMessage(n);
  scope.close();
};
