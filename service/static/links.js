// Makes and copies share links on pages without a player.

import { copyField } from "./copy.js";
import { startMakingLinks } from "./make_link.js";

startMakingLinks();

const status = document.querySelector("[data-status]");
for (const button of document.querySelectorAll("[data-copy-from]")) {
  button.hidden = false;
  const field = document.getElementById(button.dataset.copyFrom);
  button.addEventListener("click", () => copyField(field, status));
}

// Without this module, times are in UTC.
const format = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short" });
for (const time of document.querySelectorAll("time[data-moment]")) {
  time.textContent = format.format(new Date(time.dateTime));
}
