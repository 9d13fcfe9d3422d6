import { assert } from "@std/assert";
import { BlockWriter, readBlock } from "../../drivers/usb/mod.ts";

const BLOCKS = 1_000_000;
const SEED = 20_260_101;

Deno.test(`a million NCM blocks (seed ${SEED}): no frame outside, nothing read past the end, always an end`, () => {
  let state = SEED;
  const next = (n: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
  const limits = { inSize: 4096, outSize: 4096, divisor: 4, remainder: 0, alignment: 4, frames: 16 };
  const writer = new BlockWriter(limits);
  const [one, other] = [new Uint8Array(4096), new Uint8Array(4096)];
  let [refused, skipped, frames] = [0, 0, 0];
  const started = performance.now();
  for (let i = 0; i < BLOCKS; i++) {
    let length: number;
    if (next(4) === 0) {
      length = next(200);
      for (let k = 0; k < length; k++) one[k] = next(256);
      if (next(2) === 0) {
        one.set([0x4e, 0x43, 0x4d, 0x48, 12, 0, 0, 0, next(256), 0, 12, 0, 0x4e, 0x43, 0x4d, 0x30]);
      }
    } else {
      writer.reset();
      for (let k = next(8); k > 0; k--) writer.place(14 + next(100));
      length = writer.finish(one);
      for (let k = next(6); k > 0; k--) one[next(length)] = next(256);
      if (next(4) === 0) length = next(length + 1);
    }
    // The same block with other bytes behind it: whoever reads past the end answers differently.
    other.set(one.subarray(0, length));
    one.fill(0, length, Math.min(4096, length + 256));
    other.fill(0xff, length, Math.min(4096, length + 256));
    const r = readBlock(one, length, 1984, (at, len) => {
      assert(
        at >= 12 && len >= 14 && len <= 1984 && at + len <= length,
        `block ${i}: ${len} bytes at ${at} of ${length}`,
      );
    });
    const again = readBlock(other, length, 1984, () => {});
    assert(
      again.frames === r.frames && again.skipped === r.skipped && again.refused === r.refused,
      `block ${i} of ${length} bytes reads past its end`,
    );
    if (r.refused !== undefined) refused++;
    skipped += r.skipped;
    frames += r.frames;
    assert(r.frames + r.skipped <= 1024, `block ${i} had no end`);
  }
  assert(
    refused > 10_000 && skipped > 10_000 && frames > 100_000,
    `${refused} refused, ${skipped} skipped, ${frames} read`,
  );
  console.log(
    `${refused} refused, ${skipped} pairs skipped, ${frames} frames, ${
      Math.round(performance.now() - started)
    } ms`,
  );
});
