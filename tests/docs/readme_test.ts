/** What README shows is what runs: its driver under its program, and the quick start. */
import { assertEquals, assertMatch } from "@std/assert";

const root = new URL("../../", import.meta.url);
const page = Deno.readTextFileSync(new URL("README.md", root));
const blocks = (language: string): string[] =>
  [...page.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter(([, l]) => l === language).map(([, , code]) =>
    code!
  );

Deno.test("README's program runs README's driver, unloads it under traffic, and closes the books", async () => {
  const [driver, program] = blocks("ts");
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/counter.ts`, driver!);
    await Deno.writeTextFile(`${folder}/program.ts`, program!);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-lock",
        "--config",
        new URL("deno.json", root).pathname,
        `${folder}/program.ts`,
      ],
      env: { NO_COLOR: "1" },
      signal: AbortSignal.timeout(60_000),
    }).output();
    const text = new TextDecoder().decode(stdout);
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    assertMatch(text, /^saw [1-9]\d* packets$/m);
    assertEquals(text.trimEnd().split("\n").at(-1), "0", text);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("README shows the quick start as it is", () => {
  assertEquals(blocks("js"), [Deno.readTextFileSync(new URL("examples/quickstart.mjs", root))]);
});
