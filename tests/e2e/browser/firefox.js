// Acts as a viewer in Firefox over WebDriver BiDi, and prints its observations as one JSON object.
//
//   node firefox.js FIREFOX BASE FILM HEVC PROFILE OTHER_PROFILE
//
// FILM is the path of a page with a captioned film of one minute, HEVC that of a page with an HEVC
// film.

import { createServer } from "node:http";
import { launched, opened, until as untilIn } from "./launch.js";

const [executablePath, base, film, hevc, ...profiles] = process.argv.slice(2);
const seen = { complaints: [] };

async function withScripts(browser, elsewhere) {
  const page = await opened(browser, [base, elsewhere], seen.complaints);
  const until = (what, test, ...values) => untilIn(page, what, test, ...values);
  const untilAt = (second) =>
    until(
      `is at ${second} s`,
      (second) => {
        const video = document.querySelector("[data-player]");
        return !video.seeking && Math.abs(video.currentTime - second) < 0.3;
      },
      second,
    );
  const play = (...from) =>
    page.$eval(
      "[data-player]",
      (video, second) => {
        if (second !== undefined) video.currentTime = second;
        return video.play();
      },
      ...from,
    );
  const pause = () => page.$eval("[data-player]", (video) => video.pause());
  const text = (selector) => page.$eval(selector, (element) => element.textContent.trim());

  // The library: search while typing, and open the result.
  await page.goto(`${base}/`);
  await page.type("input[type=search]", "harbour");
  await until("search results", () => location.search.includes("harbour"));
  const result = await page.waitForSelector(`main a[href^="${film}"]`);
  await Promise.all([page.waitForNavigation(), result.click()]);
  seen.page = new URL(page.url()).pathname;

  // Play.
  await until("metadata", () => document.querySelector("[data-player]").readyState >= 1);
  seen.duration = await page.$eval("[data-player]", (video) => video.duration);
  await play();
  await until("plays", () => document.querySelector("[data-player]").currentTime > 1);

  // Show captions.
  await page.$eval("[data-player]", (video) => {
    video.textTracks[0].mode = "showing";
  });
  await until("a caption is shown", () => {
    const [track] = document.querySelector("[data-player]").textTracks;
    window.caption = track.activeCues?.[0]?.text; // it may be over by the next look
    return window.caption !== undefined;
  });
  seen.captions = await page.$eval("[data-player]", (video) =>
    [...video.textTracks].map(({ kind, language }) => `${kind} ${language}`),
  );
  seen.caption = await page.evaluate(() => window.caption);

  // Seek, and play on from there.
  seen.seeks = [];
  for (const second of [45, 10, 30.5]) {
    await play(second);
    await until(
      `plays on from ${second} s`,
      (second) => {
        const video = document.querySelector("[data-player]");
        return (
          !video.seeking && video.currentTime > second + 0.3 && video.currentTime < second + 15
        );
      },
      second,
    );
    seen.seeks.push(second);
  }
  await pause();

  const preview = () =>
    page.$eval(".preview", (element) => element.checkVisibility() && element.textContent.trim());

  await page.click("[data-filmstrip-link]");
  await page.waitForSelector(".strip a");
  // The filmstrip: hovering over a frame shows a preview, a click seeks there, and the arrow keys
  // and Enter do the same.
  await page.evaluate(() => {
    window.stays = true;
  });
  // The strip shows no preview while it follows the film.
  for (let left = 100; left > 0 && (await preview()) !== "0:33"; left -= 1) {
    await page.hover(".strip a[data-t='32']");
    await page.hover(".strip a[data-t='33']");
  }
  await until("a preview", () => document.querySelector(".preview").checkVisibility());
  seen.preview = [await text(".preview")];
  await page.click(".strip a[data-t='33']");
  await untilAt(33);
  seen.current = [await text(".strip [aria-current]")];
  await page.mouse.move(0, 0);
  await until("no preview", () => !document.querySelector(".preview").checkVisibility());
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await until("a preview", () => document.querySelector(".preview").checkVisibility());
  seen.preview.push(await text(".preview"));
  await page.keyboard.press("Enter");
  await untilAt(35);
  seen.current.push(await text(".strip [aria-current]"));
  await page.click("[data-chapters] a[data-t='20']");
  await untilAt(20);
  seen.current.push(await text("[data-chapters] [aria-current] bdi"));
  seen.stayed = await page.evaluate(() => window.stays);

  // Shortcuts: those of the player if it has the focus, else those of the page.
  await page.focus("[data-player]");
  await page.keyboard.press("ArrowRight");
  await until("a key seeks", () => document.querySelector("[data-player]").currentTime > 22);
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("5");
  await untilAt(30);
  await page.keyboard.press("l");
  await untilAt(40);
  await page.keyboard.press("?");
  await until("the shortcuts are listed", () => document.querySelector("dialog").open);
  await page.keyboard.press("Escape");
  await until("the list is closed", () => !document.querySelector("dialog").open);

  // Playback resumes after a reload; a link with a time overrides that.
  await play(40);
  await until("plays at 41 s", () => document.querySelector("[data-player]").currentTime > 41);
  await pause();
  await page.reload();
  await until("resumes", () => document.querySelector("[data-player]").currentTime > 30);
  seen.resumed = await page.$eval("[data-player]", (video) => video.currentTime);
  await until("a message about resuming", () =>
    document.querySelector(".resumed").textContent.includes("0:4"),
  );
  await page.goto(`${base}${film}?t=0m12.5s`);
  await untilAt(12.5);
  seen.message = await text(".resumed");
  await page.click("[data-copy]");
  await until("it is copied", () => document.querySelector(".tool-status").textContent !== "");
  seen.copied = await text(".tool-status");

  // Play to the end.
  await page.$eval("[data-player]", (video) => {
    video.currentTime = video.duration - 1.5;
    return video.play();
  });
  await until("ends", () => document.querySelector("[data-player]").ended);
  seen.error = await page.$eval("[data-player]", (video) => video.error?.message ?? null);
  seen.banner = await text(".banner");

  // An unplayable codec is reported before playback.
  await page.goto(`${base}${hevc}`);
  seen.verdict = await until("a verdict", () => {
    const [fine, unplayable] = [".finding-fine b", ".unplayable-reason"].map((part) =>
      document.querySelector(part)?.textContent.trim(),
    );
    return unplayable || fine;
  });
  seen.decodes = await page.$eval("[data-player]", (video) =>
    Boolean(video.canPlayType(document.querySelector("[data-unplayable]").dataset.video)),
  );

  // Embedded in a page of another site.
  await page.goto(`${elsewhere}/`);
  const [frame] = page.mainFrame().childFrames();
  const player = await frame.waitForSelector("[data-player]");
  await untilIn(frame, "metadata", () => document.querySelector("[data-player]").readyState >= 1);
  await player.evaluate((video) => video.play());
  await untilIn(frame, "plays there", () => {
    const { currentTime } = document.querySelector("[data-player]");
    return currentTime > 31 && currentTime < 45;
  });
  seen.framed = await frame.$eval("h1 a", (link) => new URL(link.href).pathname);
  await page.close();
}

// Without scripts, frames are links, and Firefox has its own controls.
async function withoutScripts(browser) {
  const page = await opened(browser, [base], seen.complaints);
  const until = (what, test, ...values) => untilIn(page, what, test, ...values);
  const navigates = async (act) => {
    const before = await page.evaluate(() => location.href);
    await act();
    // Between two pages, Firefox may show an empty one for a moment.
    await until(
      `leaves ${before}`,
      (before) =>
        location.href !== before &&
        location.protocol !== "about:" &&
        document.readyState === "complete",
      before,
    );
  };
  // In place of Puppeteer's click, which waits for promises that never settle without scripts.
  const centre = (selector) =>
    page.evaluate((selector) => {
      const element = document.querySelector(selector);
      element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
      const { left, top, width, height } = element.getBoundingClientRect();
      const place = [left + width / 2, top + height / 2];
      // Null while something else lies there, as when a picture above it has just come.
      return element.contains(document.elementFromPoint(...place)) ? place : null;
    }, selector);
  const click = async (selector) => {
    let place = await centre(selector);
    for (let before = []; place === null || String(place) !== String(before); ) {
      await new Promise((resolve) => setTimeout(resolve, 200)); // until nothing moves it any more
      before = place;
      place = await centre(selector);
    }
    await page.mouse.click(...place);
  };
  const follow = (selector) => navigates(() => click(selector));
  await page.goto(`${base}/`);
  await page.evaluate(() => document.querySelector("input[type=search]").focus());
  await page.keyboard.type("harbour");
  await navigates(() => page.keyboard.press("Enter"));
  await follow(`main a[href^="${film}"]`);
  seen.scripts = await page.evaluate(() =>
    document.querySelector("[data-tools]").checkVisibility(),
  );
  await follow("[data-filmstrip-link]");
  await follow(".strip a[data-t='3']");
  seen.link = await page.evaluate(() => location.search);
  await until("is at 3 s", () => {
    const video = document.querySelector("[data-player]");
    return video.readyState >= 2 && Math.abs(video.currentTime - 3) < 0.3;
  });
  await click("[data-player]");
  await until("plays", () => document.querySelector("[data-player]").currentTime > 4);
  await page.close();
}

const server = createServer((_, response) => {
  const embedded = `${base}${film.replace("/watch/", "/embed/")}?t=30`;
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.end(
    `<!DOCTYPE html><html lang="en"><title>Elsewhere</title><link rel="icon" href="data:,">
    <iframe src="${embedded}" width="640" height="400" title="A film" allow="autoplay"></iframe>`,
  );
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

try {
  for (const [flow, preferences] of [
    [withScripts, {}],
    // BiDi has no command to disable scripts yet.
    [withoutScripts, { "javascript.enabled": false }],
  ]) {
    const browser = await launched(executablePath, profiles.shift(), preferences);
    try {
      await flow(browser, `http://127.0.0.1:${server.address().port}`);
    } finally {
      await browser.close();
    }
  }
} finally {
  server.close();
  server.closeAllConnections();
}

console.log(JSON.stringify(seen));
