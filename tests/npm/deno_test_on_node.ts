/** `Deno.test` on Node, as far as the unit tests use it: what dnt's shim is in the npm build. @module */
import { test, type TestContext } from "node:test";

interface Definition {
  readonly name: string;
  readonly ignore?: boolean;
  fn(t: unknown): unknown;
}

const context = (t: TestContext): unknown => ({
  step: (name: string, fn: (t: unknown) => unknown) =>
    t.test(name, async (inner) => void await fn(context(inner))),
});

Object.assign(globalThis, {
  Deno: {
    test(a: string | Definition, b?: (t: unknown) => unknown): void {
      const d: Definition = typeof a === "string" ? { name: a, fn: b! } : a;
      void test(d.name, { skip: d.ignore === true }, async (t) => {
        await d.fn(context(t));
      });
    },
  },
});
