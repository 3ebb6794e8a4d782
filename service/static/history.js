// Exports, imports and forgets what the browser remembers of watched videos. It is loaded when it is
// first wanted.

import { exportHistory, importHistory } from "./exchange.js";
import { forgetEverything } from "./seen.js";
import { announce } from "./status.js";

const MAX_BYTES = 5_000_000; // of a file: more than browsers keep
const NAME = "reelay-watched.json";

/** Do what a click or the choice of a file in the section asks for; `changed` shows the result. */
export async function handle({ type, target }, section, changed) {
  const status = section.querySelector("[data-history-status]");
  const say = (words, count = 0) => {
    status.textContent = words.replace("{count}", count.toLocaleString("en"));
    announce(status.textContent);
  };
  if (type === "change" && target.files?.length) {
    const count = await read(target.files[0]);
    target.value = ""; // the same file can be chosen again
    changed();
    if (count === null) say(status.dataset.failed);
    else say(status.dataset.imported, count);
  } else if (type === "click" && target.closest("[data-export]")) {
    download();
  } else if (type === "click" && target.closest("[data-forget-all]")) {
    forgetEverything();
    changed();
    say(status.dataset.forgotten);
  }
}

/** Return how many videos were in a file; null if it is not a history. */
async function read(file) {
  try {
    return file.size > MAX_BYTES ? null : importHistory(await file.text());
  } catch {
    return null;
  }
}

function download() {
  const url = URL.createObjectURL(new Blob([exportHistory()], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = NAME;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser reads it after the click
}
