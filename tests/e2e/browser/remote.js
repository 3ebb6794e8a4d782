// A page in Firefox over WebDriver BiDi, controlled by a running test. Each input line is a JSON
// array of a command and its arguments; each output line is [true, result] or [false, MESSAGE].
//
//   node remote.js FIREFOX BASE PROFILE [PREFERENCES, as a JSON object]
//
// The first page is watched: `complaints` has its faults.
//
//   ["renew", BASE]            replace the page by one of this server, with a storage of its own
//   ["renew", BASE, "watched"] the same, and watch the new page
//   ["prepare", SCRIPT]        run a script before those of every page
//   ["goto", PATH]
//   ["evaluate", EXPRESSION]   return its value
//   ["frame", EXPRESSION]      return its value in the page's first frame
//   ["click", SELECTOR]        with the mouse, as a viewer does
//   ["follow", SELECTOR]       click on a link, and wait for its page
//   ["back"]                   go back to the page before, and wait for it
//   ["press", KEY]             with its modifiers: Shift+N
//   ["resize", "WIDTH HEIGHT"] give the page this size, in CSS pixels
//   ["complaints"]             return the faults so far

import { createInterface } from "node:readline";
import { follow, goBack, launched, opened, visit } from "./launch.js";

const [executablePath, firstBase, profile, preferences = "{}"] = process.argv.slice(2);
const complaints = [];
const browser = await launched(executablePath, profile, JSON.parse(preferences));
let isWatched = true; // as Puppeteer starts

// Firefox needs a third more processor time for a page whose requests it reports.
async function watch(should) {
  if (should === isWatched) return;
  const command = should ? "session.subscribe" : "session.unsubscribe";
  await browser.connection.send(command, { events: ["network"] });
  isWatched = should;
}

async function press(page, keys) {
  for (const key of keys) await page.keyboard.down(key);
  for (const key of keys.reverse()) await page.keyboard.up(key);
}

async function renewed(base) {
  const context = await browser.createBrowserContext();
  complaints.length = 0;
  return { base, context, page: await opened(context, [base], complaints) };
}

try {
  let [base, context, page] = [firstBase, null, await opened(browser, [firstBase], complaints)];
  const commands = {
    renew: async (other, watched) => {
      const before = context ?? page;
      await watch(watched === "watched");
      ({ base, context, page } = await renewed(other));
      await before.close();
    },
    prepare: (script) => page.evaluateOnNewDocument(script),
    goto: (path) => visit(page, `${base}${path}`),
    evaluate: (expression) => page.evaluate(expression),
    frame: (expression) => page.mainFrame().childFrames()[0].evaluate(expression),
    click: (selector) => page.click(selector),
    follow: (selector) => follow(page, selector),
    back: () => goBack(page),
    press: (keys) => press(page, keys.split("+")),
    resize: (size) => {
      const [width, height] = size.split(" ").map(Number);
      return page.setViewport({ width, height });
    },
    complaints: () => {
      if (!isWatched) throw new Error("the page is not watched");
      return complaints;
    },
  };
  const values = new Set(["evaluate", "frame", "complaints"]);
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, ...words] = JSON.parse(line);
    try {
      const result = await commands[command](...words);
      console.log(JSON.stringify([true, values.has(command) ? (result ?? null) : null]));
    } catch (error) {
      console.log(JSON.stringify([false, String(error)]));
    }
  }
} finally {
  await browser.close();
}
