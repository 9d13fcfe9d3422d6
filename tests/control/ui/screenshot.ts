/**
 * Takes the picture of README: the example lab, a minute into its life. deno task screenshot
 *
 * @module
 */
import { epochOpen } from "../../../mod.ts";
import { withApi } from "../helper.ts";
import { withPage } from "./browser.ts";

const root = new URL("../../../", import.meta.url);
const lab = JSON.parse(Deno.readTextFileSync(new URL("examples/two-vnets.json", root)));
const wait = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));

await withApi({ cpus: 2 }, async ({ call, kernel, server }) => {
  await call("PUT", "/api/lab", lab);
  await withPage(`${server.url}/#token=${server.token}`, async (page) => {
    await page.locator("#status:has-text('live')").waitFor();
    await wait(25);
    await call("POST", "/api/if/wirea/down");
    await wait(12);
    await call("POST", "/api/if/wirea/up");
    await call("POST", "/api/if/lo0/vmove", { vnet: "right" });
    await wait(20);
    await call("POST", "/api/if/wana/unplug");
    await wait(8);
    await call("POST", "/api/unplugged/left:wan/replug");
    await call("POST", "/api/capture", { ifnet: "wanb", count: 500 });
    await call("POST", "/api/if/null0/unplug");
    await wait(5);
    const held = epochOpen(kernel, "a reader of the routes");
    const waiting = call("DELETE", "/api/if/lo0");
    await wait(8);
    held.close();
    await waiting;
    await wait(12);
    await page.screenshot({ path: new URL("docs/dashboard.png", root).pathname, fullPage: true });
  }, { width: 1280, height: 900 });
});
