// What a viewer does, in Firefox, over WebDriver BiDi: prints one JSON object of what was seen.
//
//   node firefox.js FIREFOX BASE FILM PROFILE
//
// FILM is the path of a page with a captioned film of a minute.

import puppeteer from "puppeteer-core";

const [executablePath, base, film, userDataDir] = process.argv.slice(2);
const seen = { complaints: [] };

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  userDataDir,
  acceptInsecureCerts: true,
  headless: true,
  extraPrefsFirefox: {
    "media.autoplay.default": 0, // as if the viewer had pressed play
    "media.volume_scale": "0",
    "network.captive-portal-service.enabled": false,
    "network.connectivity-service.enabled": false,
  },
});

try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  page.setDefaultTimeout(60_000);
  page.on("console", (message) => {
    if (message.type() === "error") seen.complaints.push(message.text());
  });
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  page.on("request", (request) => {
    // Its own controls have fonts in data: addresses; the page's policy lets it have none.
    const ours = request.url().startsWith(`${base}/`) || request.url().startsWith("data:");
    if (!ours) seen.complaints.push(`elsewhere: ${request.url()}`);
  });
  await page.evaluateOnNewDocument(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy: ${event.effectiveDirective} ${event.blockedURI}`),
    );
  });
  seen.version = await browser.version();

  // The library: search, and go to what was found.
  await page.goto(`${base}/`);
  await page.type("input[type=search]", "harbour");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => location.search.includes("harbour"));
  const found = await page.waitForSelector(`main a[href^="${film}"]`);
  await Promise.all([page.waitForNavigation(), found.evaluate((link) => link.click())]);
  seen.page = new URL(page.url()).pathname;

  const player = await page.waitForSelector("[data-player]");
  const until = (what, test, ...values) =>
    page.waitForFunction(test, { timeout: 60_000 }, ...values).catch((error) => {
      throw new Error(`${what}: ${error}`);
    });

  // It plays.
  await until("metadata", () => document.querySelector("[data-player]").readyState >= 1);
  seen.duration = await player.evaluate((video) => video.duration);
  await player.evaluate((video) => video.play());
  await until("plays", () => document.querySelector("[data-player]").currentTime > 1);

  // Captions are shown.
  await player.evaluate((video) => {
    video.textTracks[0].mode = "showing";
  });
  await until("a caption is shown", () => {
    const [track] = document.querySelector("[data-player]").textTracks;
    return track.activeCues?.length > 0;
  });
  seen.captions = await player.evaluate((video) =>
    [...video.textTracks].map(({ kind, language }) => `${kind} ${language}`),
  );
  seen.caption = await player.evaluate((video) => video.textTracks[0].activeCues[0].text);

  // Seeks, and plays on from there.
  seen.seeks = [];
  for (const second of [45, 10, 30.5]) {
    await player.evaluate((video, second) => {
      video.currentTime = second;
    }, second);
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
  // By keyboard, whatever the page's own keys are: the browser's or ours, both go on.
  await player.evaluate((video) => video.pause());
  const before = await player.evaluate((video) => video.currentTime);
  await player.focus();
  await page.keyboard.press("ArrowRight");
  await until(
    "a key seeks",
    (at) => document.querySelector("[data-player]").currentTime > at + 2,
    before,
  );

  // What was watched is resumed after a reload.
  await player.evaluate((video) => {
    video.currentTime = 40;
    return video.play();
  });
  await until("plays at 41 s", () => document.querySelector("[data-player]").currentTime > 41);
  await player.evaluate((video) => video.pause());
  await page.reload();
  await until("resumes", () => document.querySelector("[data-player]").currentTime > 30).catch(
    () => {},
  );
  seen.resumed = await page.$eval("[data-player]", (video) => video.currentTime);

  // To the end.
  await page.$eval("[data-player]", (video) => {
    video.currentTime = video.duration - 1.5;
    return video.play();
  });
  await until("ends", () => document.querySelector("[data-player]").ended);
  seen.ended = true;
  seen.error = await page.$eval("[data-player]", (video) => video.error?.message ?? null);
} finally {
  await browser.close();
}

console.log(JSON.stringify(seen));
