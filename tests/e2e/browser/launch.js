// Firefox over WebDriver BiDi, with the faults on its pages.

import { setTimeout as pause } from "node:timers/promises";
import puppeteer from "puppeteer-core";

export function launched(executablePath, userDataDir, preferences = {}) {
  return puppeteer.launch({
    browser: "firefox",
    executablePath,
    userDataDir,
    acceptInsecureCerts: true,
    headless: true,
    extraPrefsFirefox: {
      "media.autoplay.default": 0, // as if the viewer had pressed play
      "media.volume_scale": "0",
      // A fifth of the processor time: fewer pictures a second, and no processes for pages to come.
      "layout.frame_rate": 20,
      "dom.ipc.processPrelaunch.enabled": false,
      "network.captive-portal-service.enabled": false,
      "network.connectivity-service.enabled": false,
      ...preferences,
    },
  });
}

// Opens a page, and adds its faults to `complaints`: console errors, uncaught exceptions, violations
// of the policy, requests to other servers.
export async function opened(browser, origins, complaints) {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  page.setDefaultTimeout(60_000);
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    // Firefox's own controls load fonts from data: URLs, which the policy forbids to the page.
    const url = request.url();
    const ours = url.startsWith("data:") || origins.some((origin) => url.startsWith(`${origin}/`));
    if (!ours) complaints.push(`elsewhere: ${url}`);
  });
  await page.evaluateOnNewDocument(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy: ${event.effectiveDirective} ${event.blockedURI}`),
    );
  });
  return page;
}

// Opens a page. Puppeteer's `goto` would wait in vain after a step back: Firefox restores that page from its
// cache without the event `load`, so that Puppeteer takes the step for a navigation that goes on, and all that
// follow for parts of it. So do its `waitForNavigation` and `goBack`.
export async function visit(page, url) {
  await page.mainFrame().browsingContext.navigate(url, "complete");
}

// Clicks on a link, and waits for its page.
export const follow = (page, selector) =>
  leave(page, `the page of ${selector}`, () => page.click(selector));

// Goes back to the page before, and waits for it.
export const goBack = (page) =>
  leave(page, "the page before", () => page.evaluate(() => history.back()));

async function leave(page, what, act) {
  const before = await page.evaluate(() => performance.timeOrigin);
  await act();
  await until(
    page,
    what,
    (before) =>
      performance.timeOrigin !== before &&
      location.protocol !== "about:" && // between two pages there may be an empty one
      document.readyState === "complete",
    before,
  );
}

// Waits until `test` returns a true value in a page or frame, and returns it. Puppeteer's own
// waiting needs scripts in the page, and ends when the page navigates.
export async function until(page, what, test, ...values) {
  let last;
  for (let left = 1200; left > 0; left -= 1) {
    try {
      last = await page.evaluate(test, ...values);
      if (last) return last;
    } catch (error) {
      last = error; // the page is navigating
    }
    await pause(50);
  }
  const at = await page
    .evaluate(() => document.querySelector("[data-player]")?.currentTime)
    .catch(() => "?");
  throw new Error(`${what}: ${last}; ${page.url()}, at ${at} s`);
}
