/** The template of a driver: what `deno task new-driver` writes passes its own tests at once. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { newDriver } from "../../control/new_driver.ts";

Deno.test("a new driver passes its tests, format, lint and check at once", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "softc-new-" });
  try {
    const files = newDriver("mynic", { folder });
    assertEquals(files.length, 7);
    const deno = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args,
        cwd: folder,
        env: { NO_COLOR: "1" },
        signal: AbortSignal.timeout(60_000),
      }).output();
      const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      assertEquals(code, 0, `deno ${args.join(" ")}\n${text}`);
      return text;
    };
    assert(/ok \| [3-9]\d passed \| 0 failed/.test(await deno("test", "--allow-read", "--allow-env")));
    await deno("fmt", "--check");
    await deno("lint");
    for (const f of files) {
      const text = Deno.readTextFileSync(f);
      assert(!/\bNAME\b|SOFTC_(DRIVER|TESTING|RANGE|NPM)/.test(text), f);
    }
    assertThrows(() => newDriver("mynic", { folder }), Error, "it is there");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a name that no driver can have is refused, and nothing is written", () => {
  for (const name of ["", "My", "9nic", "a_b", "x".repeat(13), "../up"]) {
    assertThrows(() => newDriver(name), Error, "Cannot name");
  }
});
