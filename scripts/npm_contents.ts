/**
 * What the npm package has beside the modules that deno.json exports: data, so that tests can check it where dnt
 * cannot be had.
 *
 * @module
 */

/** The command, and the module behind it. */
export const BIN = { name: "softc", path: "./control/cli/bin.ts" } as const;

/** Pages at its top. */
export const PAGES: readonly string[] = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE"];

/** Folders of files that modules read by a URL of their own: dnt copies none. They keep their place. */
export const ASSETS: readonly string[] = ["control/page/assets", "templates"];

/** Tests that use nothing of Deno but `Deno.test`, load no TypeScript by URL, and so run on Node from the build. */
export const NODE_TESTS: readonly string[] = [
  "tests/core/arena_test.ts",
  "tests/core/batch_test.ts",
  "tests/core/epoch_test.ts",
  "tests/core/heap_test.ts",
  "tests/core/mailbox_test.ts",
  "tests/core/mbuf_test.ts",
  "tests/core/ring_test.ts",
  "tests/core/tap_test.ts",
  "tests/inet/routes_test.ts",
  "tests/usb/formats_test.ts",
  "tests/virtio/queue_test.ts",
];
