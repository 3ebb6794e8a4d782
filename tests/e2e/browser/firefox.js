// What a viewer does, in Firefox, over WebDriver BiDi: prints one JSON object of what was seen.
//
//   node firefox.js FIREFOX BASE FILM HEVC PROFILE
//
// FILM is the path of a page with a captioned film of a minute, HEVC that of one with HEVC.

import { createServer } from "node:http";
import { launched, opened, until as untilIn } from "./launch.js";

const [executablePath, base, film, hevc, profile] = process.argv.slice(2);
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

  // The library: search as one types, and go to what was found.
  await page.goto(`${base}/`);
  await page.type("input[type=search]", "harbour");
  await until("what was found", () => location.search.includes("harbour"));
  const found = await page.waitForSelector(`main a[href^="${film}"]`);
  await Promise.all([page.waitForNavigation(), found.click()]);
  seen.page = new URL(page.url()).pathname;

  // It plays.
  await until("metadata", () => document.querySelector("[data-player]").readyState >= 1);
  seen.duration = await page.$eval("[data-player]", (video) => video.duration);
  await play();
  await until("plays", () => document.querySelector("[data-player]").currentTime > 1);

  // Captions are shown.
  await page.$eval("[data-player]", (video) => {
    video.textTracks[0].mode = "showing";
  });
  await until("a caption is shown", () => {
    const [track] = document.querySelector("[data-player]").textTracks;
    return track.activeCues?.length > 0;
  });
  seen.captions = await page.$eval("[data-player]", (video) =>
    [...video.textTracks].map(({ kind, language }) => `${kind} ${language}`),
  );
  seen.caption = await page.$eval(
    "[data-player]",
    (video) => video.textTracks[0].activeCues[0].text,
  );

  // Seeks, and plays on from there.
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

  // By the filmstrip: what is pointed at is shown larger, what is clicked is gone to, and with the
  // arrows and Enter it is the same.
  await page.evaluate(() => {
    window.stays = true;
  });
  // Once the strip has followed the film: while it does so, nothing is shown larger.
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

  // By keys: the player's where it has the focus, else the page's.
  await page.focus("[data-player]");
  await page.keyboard.press("ArrowRight");
  await until("a key seeks", () => document.querySelector("[data-player]").currentTime > 22);
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("5");
  await untilAt(30);
  await page.keyboard.press("l");
  await untilAt(40);
  await page.keyboard.press("?");
  await until("the keys are listed", () => document.querySelector("dialog").open);
  await page.keyboard.press("Escape");
  await until("and not any more", () => !document.querySelector("dialog").open);

  // What was watched is resumed after a reload, a link leads to its moment all the same.
  await play(40);
  await until("plays at 41 s", () => document.querySelector("[data-player]").currentTime > 41);
  await pause();
  await page.reload();
  await until("resumes", () => document.querySelector("[data-player]").currentTime > 30);
  seen.resumed = await page.$eval("[data-player]", (video) => video.currentTime);
  await until("says so", () => document.querySelector(".resumed").textContent.includes("0:4"));
  await page.goto(`${base}${film}?t=0m12.5s`);
  await untilAt(12.5);
  seen.message = await text(".resumed");
  await page.click("[data-copy]");
  await until("it is copied", () => document.querySelector(".tool-status").textContent !== "");
  seen.copied = await text(".tool-status");

  // To the end.
  await page.$eval("[data-player]", (video) => {
    video.currentTime = video.duration - 1.5;
    return video.play();
  });
  await until("ends", () => document.querySelector("[data-player]").ended);
  seen.error = await page.$eval("[data-player]", (video) => video.error?.message ?? null);
  seen.banner = await text(".banner");

  // What it cannot play is said before anybody presses play.
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

  // In somebody else's page.
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

// Frames are links there, and Firefox' own controls play.
async function withoutScripts(browser) {
  const page = await opened(browser, [base], seen.complaints);
  const until = (what, test, ...values) => untilIn(page, what, test, ...values);
  const leads = async (act) => {
    const before = await page.evaluate(() => location.href);
    await act();
    await until(
      `leads from ${before}`,
      (before) => location.href !== before && document.readyState === "complete",
      before,
    );
  };
  // As Puppeteer's own, which waits for promises: without scripts none is ever kept.
  const click = async (selector) => {
    const [x, y] = await page.evaluate((selector) => {
      const element = document.querySelector(selector);
      element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
      const { left, top, width, height } = element.getBoundingClientRect();
      return [left + width / 2, top + height / 2];
    }, selector);
    await page.mouse.click(x, y);
  };
  const follow = (selector) => leads(() => click(selector));
  await page.goto(`${base}/`);
  await page.evaluate(() => document.querySelector("input[type=search]").focus());
  await page.keyboard.type("harbour");
  await leads(() => page.keyboard.press("Enter"));
  await follow(`main a[href^="${film}"]`);
  seen.scripts = await page.evaluate(() =>
    document.querySelector("[data-tools]").checkVisibility(),
  );
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
    // BiDi itself has no command for it yet.
    [withoutScripts, { "javascript.enabled": false }],
  ]) {
    const browser = await launched(executablePath, `${profile}-${flow.name}`, preferences);
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
