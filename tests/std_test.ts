import {
  assert,
  assertEquals,
  assertExists,
  AssertionError,
  assertIsError,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { deadline, retry } from "@std/async";

Deno.test("the assert functions narrow types and fail by AssertionError", async () => {
  const value = JSON.parse('{"a":1}') as { a: number } | undefined;
  assertExists(value);
  assertEquals(value.a, 1);
  const error: unknown = assertThrows(() => assert(value.a === 2, "not two"));
  assertIsError(error, AssertionError, "not two");
  const range = await assertRejects(() => Promise.reject(new RangeError("far")), RangeError, "far");
  assertEquals(range.message, "far");
});

Deno.test("the async functions retry and give up at a deadline", async () => {
  let calls = 0;
  const flaky = () => ++calls < 3 ? Promise.reject(new Error("again")) : Promise.resolve(calls);
  assertEquals(await retry(flaky, { minTimeout: 1, maxTimeout: 1 }), 3);
  const never = new Promise<void>(() => {});
  assertIsError(await assertRejects(() => deadline(never, 5)), DOMException);
});
