/** The dashboard in headless Chromium: every action clicked. Run by `deno task test:ui`. @module */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { withApi } from "../helper.ts";

/** As much of Playwright as is used here: it is no dependency of the package. */
interface Locator {
  click(): Promise<void>;
  focus(): Promise<void>;
  selectOption(value: string): Promise<unknown>;
  dragTo(to: Locator): Promise<void>;
  waitFor(o?: { state?: "visible" | "detached" }): Promise<void>;
  innerText(): Promise<string>;
  count(): Promise<number>;
  locator(selector: string): Locator;
  first(): Locator;
}
interface Page extends Locator {
  goto(url: string): Promise<unknown>;
  url(): string;
  on(
    event: string,
    fn: (
      x: { type?(): string; text?(): string; message?: string; status?(): number; url?(): string },
    ) => void,
  ): void;
  screenshot(o: { path: string; fullPage?: boolean }): Promise<unknown>;
  emulateMedia(o: { colorScheme: "light" | "dark" }): Promise<void>;
  setDefaultTimeout(ms: number): void;
  waitForFunction(fn: string): Promise<unknown>;
  getByRole(role: string, o: { name: string; exact?: boolean }): Locator;
  evaluate<T>(fn: string): Promise<T>;
  keyboard: { press(key: string): Promise<void> };
}
interface Browser {
  newPage(o?: object): Promise<Page>;
  close(): Promise<void>;
}

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(exists);
if (CHROMIUM === undefined) {
  console.log("skipped: the dashboard test needs Chromium (apt-get install chromium)");
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** A page that is signed in; what the console or the network complain about fails the test. */
async function withPage(
  url: string,
  token: string,
  fn: (p: Page, complaints: string[]) => Promise<void>,
): Promise<void> {
  const name = "npm:playwright-core@1.65.1";
  const { chromium } = await import(name) as { chromium: { launch(o: object): Promise<Browser> } };
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu"],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
    page.setDefaultTimeout(10_000);
    const complaints: string[] = [];
    page.on("console", (m) => {
      if (m.type!() === "error" || m.type!() === "warning") complaints.push(m.text!());
    });
    page.on("pageerror", (e) => complaints.push(e.message!));
    await page.goto(`${url}/#token=${token}`);
    await page.locator("#status:has-text('live')").waitFor();
    await fn(page, complaints);
    assertEquals(complaints, []);
  } finally {
    await browser.close();
  }
}

const OUT = new URL("../../../coverage/ui/", import.meta.url).pathname;

Deno.test({
  name: "the dashboard shows the system live, and every action does what it says",
  ignore: CHROMIUM === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withApi({ cpus: 2, limits: { strangersPerSecond: 1000 } }, async ({ call, server, kernel }) => {
      Deno.mkdirSync(OUT, { recursive: true });
      const lab = JSON.parse(
        Deno.readTextFileSync(new URL("../../../examples/two-vnets.json", import.meta.url)),
      );
      assertEquals((await call("PUT", "/api/lab", lab)).status, 200);

      await withPage(server.url, server.token, async (page, complaints) => {
        // The token is gone from the address.
        assertEquals(page.url(), `${server.url}/`);
        const chip = (id: string): Locator => page.locator(`[data-if="${id}"]`);
        const vnet = (name: string): Locator => page.locator(`[data-vnet="${name}"]`);
        for (const id of ["left:lo0", "left:null0", "left:wirea", "right:wireb"]) await chip(id).waitFor();

        // Rates: numbers come, and the charts draw.
        await page.locator(
          '[data-if="left:wirea"] .rate:has-text("M/s"), [data-if="left:wirea"] .rate:has-text("k/s")',
        )
          .waitFor();
        for (const id of ["rates", "drops", "epoch"]) await page.locator(`#${id}-chart canvas`).waitFor();
        await page.locator('#ledger-rows tr:has-text("delivered")').waitFor();
        assertStringIncludes(await page.locator("#ledger-sum").innerText(), "unaccounted 0");
        await page.screenshot({ path: `${OUT}light.png`, fullPage: true });
        await page.emulateMedia({ colorScheme: "dark" });
        await page.screenshot({ path: `${OUT}dark.png`, fullPage: true });

        await page.emulateMedia({ colorScheme: "light" });

        // Down and up.
        await page.getByRole("button", { name: "Down null0" }).click();
        await page.getByRole("button", { name: "Up null0" }).waitFor();
        assert(!kernel.ifnets.find((i) => i.name === "null0")!.toJSON().flags.includes("UP"));
        await page.getByRole("button", { name: "Up null0" }).click();
        await page.getByRole("button", { name: "Down null0" }).waitFor();

        // Dragged to another vnet, and back by menu with the keyboard.
        await chip("left:null0").dragTo(vnet("right"));
        await chip("right:null0").waitFor();
        assertEquals(kernel.ifnets.find((i) => i.name === "null0")!.vnet.name, "right");
        const menu = page.getByRole("combobox", { name: "Move null0 to vnet" });
        await menu.focus();
        await menu.selectOption("left");
        await chip("left:null0").waitFor();
        // The focus stays on the menu although the page was filled anew.
        await page.waitForFunction("document.activeElement.dataset.key === 'move null0'");

        // The log tells it.
        await page.locator('#events li:has-text("arrival left:null0")').first().waitFor();

        // By keyboard alone.
        await page.getByRole("button", { name: "Destroy null0" }).focus();
        await page.keyboard.press("Enter");
        await chip("left:null0").waitFor({ state: "detached" });
        assertEquals(kernel.ifnets.some((i) => i.name === "null0" && i.state === "attached"), false);

        // Unload.
        await page.getByRole("button", { name: "Unload module null" }).click();
        await page.getByRole("button", { name: "Unload module null" }).waitFor({ state: "detached" });
        assert(!kernel.modules.list().some((m) => m.name === "null"));

        // Pulled out under traffic.
        await page.getByRole("button", { name: "Detach wireb" }).click();
        await chip("right:wireb").waitFor({ state: "detached" });

        await page.screenshot({ path: `${OUT}after.png`, fullPage: true });

        // What is refused is told, with the fix.
        assertEquals(complaints, []);
        await call("POST", "/api/vnet", { name: "third" });
        await vnet("third").waitFor();
        await call("POST", "/api/if", { vnet: "third", cloner: "lo", name: "lo0" });
        await chip("third:lo0").waitFor();
        await page.locator('[data-if="left:lo0"] select').selectOption("third");
        await page.locator("#alert:has-text('SOFTC_IF_EXISTS')").waitFor();
        // The browser itself notes the 409; nothing else may complain.
        assertEquals(complaints.splice(0).filter((c) => !c.includes("409")), []);

        // Names for everything that can be used.
        const nameless = await page.evaluate<number>(
          "[...document.querySelectorAll('button,select,[role=group],[role=img],[role=log]')].filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim())).length",
        );
        assertEquals(nameless, 0);
      });
    }),
});

Deno.test({
  name: "without a token the page says how to get in, and shows nothing",
  ignore: CHROMIUM === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withApi({}, async ({ server }) => {
      const name = "npm:playwright-core@1.65.1";
      const { chromium } = await import(name) as { chromium: { launch(o: object): Promise<Browser> } };
      const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
      try {
        const page = await browser.newPage();
        await page.goto(server.url);
        await page.locator("#status:has-text('not signed in')").waitFor();
        assertStringIncludes(await page.locator("#alert").innerText(), "softc start");
        assertEquals(await page.locator(".vnet").count(), 0);
      } finally {
        await browser.close();
      }
    }),
});
