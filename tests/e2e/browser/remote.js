// A page in Firefox for tests that do other things meanwhile, over WebDriver BiDi. Each line that
// comes is an array in JSON, a verb and its object; each that goes is what came of it.
//
//   node remote.js FIREFOX BASE PROFILE
//
//   ["prepare", SCRIPT]        run this before those of every page
//   ["goto", PATH]
//   ["evaluate", EXPRESSION]   give its value
//   ["complaints"]             give what has gone wrong so far

import { createInterface } from "node:readline";
import { launched, opened } from "./launch.js";

const [executablePath, base, profile] = process.argv.slice(2);
const complaints = [];
const browser = await launched(executablePath, profile);

try {
  const page = await opened(browser, [base], complaints);
  const verbs = {
    prepare: (script) => page.evaluateOnNewDocument(script),
    goto: (path) => page.goto(`${base}${path}`),
    evaluate: (expression) => page.evaluate(expression),
    complaints: () => complaints,
  };
  const values = new Set(["evaluate", "complaints"]);
  for await (const line of createInterface({ input: process.stdin })) {
    const [verb, object] = JSON.parse(line);
    const came = await verbs[verb](object);
    console.log(JSON.stringify(values.has(verb) ? (came ?? null) : null));
  }
} finally {
  await browser.close();
}
