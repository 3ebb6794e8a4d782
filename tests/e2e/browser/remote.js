// A page in Firefox over WebDriver BiDi, controlled by a running test. Each input line is a JSON
// array of a command and its argument; each output line is the result.
//
//   node remote.js FIREFOX BASE PROFILE [PREFERENCES, as a JSON object]
//
//   ["prepare", SCRIPT]        run a script before those of every page
//   ["goto", PATH]
//   ["evaluate", EXPRESSION]   return its value
//   ["complaints"]             return the faults so far

import { createInterface } from "node:readline";
import { launched, opened } from "./launch.js";

const [executablePath, base, profile, preferences = "{}"] = process.argv.slice(2);
const complaints = [];
const browser = await launched(executablePath, profile, JSON.parse(preferences));

try {
  const page = await opened(browser, [base], complaints);
  const commands = {
    prepare: (script) => page.evaluateOnNewDocument(script),
    goto: (path) => page.goto(`${base}${path}`),
    evaluate: (expression) => page.evaluate(expression),
    complaints: () => complaints,
  };
  const values = new Set(["evaluate", "complaints"]);
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, argument] = JSON.parse(line);
    const result = await commands[command](argument);
    console.log(JSON.stringify(values.has(command) ? (result ?? null) : null));
  }
} finally {
  await browser.close();
}
