// Short messages over the screen about what a key has just done.

import { find } from "./page.js";

const SHOWN_FOR = 1500; // milliseconds
let timer;

/** Show one of the messages in the page, with `value` in the place of `{}`. */
export function showToast(name, value = "") {
  const toast = find(".toast");
  clearTimeout(timer);
  toast.textContent = toast.dataset[name].replace("{}", () => value);
  timer = setTimeout(() => (toast.textContent = ""), SHOWN_FOR);
}
