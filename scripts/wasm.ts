/**
 * Compiles scripts/wasm/kernel.ts (AssemblyScript) into core/doors/wasm_bytes.ts: `deno task wasm`. With
 * `--check` it only compares.
 *
 * @module
 */
import process from "node:process";
import { readFileSync, writeFileSync } from "node:fs";
import asc from "assemblyscript/asc";

const SOURCE = new URL("./wasm/kernel.ts", import.meta.url);
const TARGET = new URL("../core/doors/wasm_bytes.ts", import.meta.url);

/** The memory is the arena's; it may be as large as an arena can be. No runtime: nothing is allocated. */
const FLAGS = [
  ..."--runtime stub --noAssert -O3 --noExportMemory --importMemory --sharedMemory".split(" "),
  ..."--initialMemory 1 --maximumMemory 65536 --enable threads --enable simd".split(" "),
];

/** The module, compiled. @throws when the compiler complains */
export async function compile(): Promise<Uint8Array> {
  const source = readFileSync(SOURCE, "utf8");
  let bytes: Uint8Array | undefined;
  const { error, stderr } = await asc.main(["kernel.ts", "-o", "kernel.wasm", ...FLAGS], {
    readFile: (name: string) => name === "kernel.ts" ? source : null,
    writeFile: (_name: string, content: string | Uint8Array) => void (bytes = content as Uint8Array),
    listFiles: () => [],
  });
  if (error !== null || bytes === undefined) throw new Error(`kernel.ts does not compile: ${stderr}`);
  return bytes;
}

/** Text of the generated file. */
export function text(bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes)).match(/.{1,96}/g)!;
  return `/** Compiled from scripts/wasm/kernel.ts by \`deno task wasm\`. @module */

/** A WebAssembly module, in base64. */
export const WASM: string =
${base64.map((line, i) => `  ${JSON.stringify(line)}${i < base64.length - 1 ? " +" : ";"}`).join("\n")}
`;
}

if (import.meta.main) {
  const wanted = text(await compile());
  if (!process.argv.includes("--check")) writeFileSync(TARGET, wanted);
  else if (readFileSync(TARGET, "utf8") !== wanted) {
    console.error("core/doors/wasm_bytes.ts is not what scripts/wasm/kernel.ts compiles to: deno task wasm");
    process.exitCode = 1;
  }
}
