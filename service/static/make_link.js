// Makes share links by the form of the page, without leaving it. All texts are in the page.

import { formatTime } from "./clock.js";
import { copyField } from "./copy.js";
import { find } from "./page.js";

/** Have the form of the page make links; `secondNow` returns where the film is. */
export function startMakingLinks(secondNow = () => 0) {
  const form = find("[data-share-form]");
  if (!form) return;
  find("[data-share]").addEventListener("toggle", () => showMoment(form, secondNow()));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    make(form);
  });
  const [status, field, code] = [
    find("[data-share-status]"),
    find("#share-url"),
    find("#share-embed"),
  ];
  find("[data-share-copy]").addEventListener("click", () => copyField(field, status));
  find("[data-share-copy-embed]")?.addEventListener("click", () => copyField(code, status));
  for (const one of [field, code]) one?.addEventListener("focus", () => one.select());
  const send = find("[data-share-send]");
  send.hidden = !navigator.share;
  // The viewer may close the system's sheet, which rejects.
  send.addEventListener("click", () => navigator.share({ url: field.value }).catch(() => {}));
}

/** Offer that the link begins at this second. */
function showMoment(form, now) {
  const label = form.querySelector("[data-share-moment]");
  const second = Math.floor(now);
  if (!label) return;
  label.hidden = second <= 0;
  if (second <= 0) return;
  label.querySelector("input").value = second;
  const text = label.dataset.shareMoment.replace("{}", formatTime(second));
  label.querySelector("span").textContent = text;
}

async function make(form) {
  const status = find("[data-share-status]");
  status.textContent = "";
  try {
    const headers = { Accept: "application/json" };
    const body = new URLSearchParams(new FormData(form));
    const response = await fetch(form.action, { method: "POST", body, headers });
    const answer = await response.json();
    if (response.ok) showLink(answer);
    status.textContent = response.ok ? status.dataset.made : answer.detail;
  } catch {
    status.textContent = status.dataset.failed;
  }
}

function showLink({ url, embed }) {
  const [field, code] = [find("#share-url"), find("#share-embed")];
  field.value = url;
  if (code) code.value = embed;
  find("[data-share-made]").hidden = false;
  field.focus();
}
