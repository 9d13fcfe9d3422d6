/** Headless Chromium, by as much of Playwright as is used here: it is no dependency of the package. @module */
import { assertEquals } from "@std/assert";

/** A place on the page. */
export interface Locator {
  click(): Promise<void>;
  focus(): Promise<void>;
  selectOption(value: string): Promise<unknown>;
  dragTo(to: Locator): Promise<void>;
  waitFor(o?: { state?: "visible" | "detached" | "hidden" }): Promise<void>;
  innerText(): Promise<string>;
  getAttribute(name: string): Promise<string | null>;
  count(): Promise<number>;
  locator(selector: string): Locator;
  first(): Locator;
}

/** What a download of the page is. */
export interface Download {
  suggestedFilename(): string;
  path(): Promise<string>;
}

/** A page. */
export interface Page extends Locator {
  goto(url: string): Promise<unknown>;
  url(): string;
  on(event: string, fn: (x: { type?(): string; text?(): string; message?: string }) => void): void;
  screenshot(o: { path: string; fullPage?: boolean }): Promise<unknown>;
  emulateMedia(o: { colorScheme: "light" | "dark" }): Promise<void>;
  setDefaultTimeout(ms: number): void;
  waitForEvent(event: "download"): Promise<Download>;
  getByRole(role: string, o: { name: string; exact?: boolean }): Locator;
  evaluate<T>(fn: string): Promise<T>;
  keyboard: { press(key: string): Promise<void> };
}

interface Browser {
  newPage(o?: object): Promise<Page>;
  close(): Promise<void>;
}

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where Chromium is; undefined when it is not installed. */
export const CHROMIUM: string | undefined = PLACES.find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** Opens a page; what its console or its scripts complain of fails it, but for what `fn` takes out of the list. */
export async function withPage(
  url: string,
  fn: (page: Page, complaints: string[]) => Promise<void>,
  o: { width: number; height: number } = { width: 1280, height: 1000 },
): Promise<void> {
  const name = "npm:playwright-core@1.65.1";
  const { chromium } = await import(name) as { chromium: { launch(o: object): Promise<Browser> } };
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu"],
  });
  try {
    const page = await browser.newPage({ viewport: o });
    page.setDefaultTimeout(30_000);
    const complaints: string[] = [];
    page.on("console", (m) => {
      if (m.type!() === "error" || m.type!() === "warning") complaints.push(m.text!());
    });
    page.on("pageerror", (e) => complaints.push(e.message!));
    await page.goto(url);
    await fn(page, complaints);
    assertEquals(complaints, []);
  } finally {
    await browser.close();
  }
}
