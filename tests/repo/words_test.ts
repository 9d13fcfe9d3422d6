import { assertEquals } from "@std/assert";
import { files, read } from "./tree.ts";

/** Text that would tie the repository to one machine or network. The patterns do not match themselves. */
const FOREIGN: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  { what: "a path of somebody's machine", pattern: /(?<![\w.)\]}*])\/(?:home|root|work|Users)\/[\w.-]+/ },
  { what: "a path of somebody's machine", pattern: /[A-Z]:\\{1,2}Users\\/ },
  {
    what: "a registry host",
    pattern: /https?:\/\/[^\s/"'`]*\b(?:registry|npm|npmjs|mirror|proxy)\b[^\s/"'`]*/,
  },
  { what: "a private host", pattern: /https?:\/\/(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)\d/ },
];

const TEXT = /\.(?:tsx?|[cm]?js|jsonc?|lock|md|sh|ya?ml|svg|html|css|c|txt)$|(?:^|\/)(?:run|LICENSE|\.\w+)$/;

function foreign(path: string, text: string): string[] {
  return text.split("\n").flatMap((line, i) =>
    FOREIGN.flatMap(({ what, pattern }) => {
      const found = pattern.exec(line)?.[0];
      return found === undefined ? [] : [`${path}:${i + 1} ${what}: ${found}`];
    })
  );
}

Deno.test("no file names a machine's paths or a registry's host", () => {
  assertEquals(files().filter((f) => TEXT.test(f)).flatMap((f) => foreign(f, read(f))), []);
});

Deno.test("foreign paths and hosts are found where they are planted", () => {
  const slash = "/";
  for (
    const planted of [
      `cd ${slash}home/someone/softc`,
      `"file:${slash}${slash}${slash}root/.cache"`,
      `see ${slash}work/notes`,
      `"tarball": "https:${slash}${slash}registry.example.org/x.tgz"`,
      `https:${slash}${slash}npm.example.org`,
      `http:${slash}${slash}10.1.2.3:4873`,
    ]
  ) assertEquals(foreign("x.md", planted).length, 1, planted);
  for (
    const fine of [
      "./examples/home/lab.json",
      "https://docs.deno.com",
      "http://127.0.0.1:8080",
      "10.0.0.1/24",
      "a/work/b",
    ]
  ) {
    assertEquals(foreign("x.md", fine), [], fine);
  }
});
