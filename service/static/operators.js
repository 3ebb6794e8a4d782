// Renews the operators' page every 15 seconds while it is visible.

const INTERVAL = 15_000; // milliseconds, as the server collects

const silence = document.querySelector("[role=status]");
let renewed = new Date();

async function renew() {
  // A hidden page asks for nothing. A selection would be lost.
  if (document.hidden || !getSelection().isCollapsed) return;
  try {
    const response = await fetch(location.href, {
      cache: "no-store",
      signal: AbortSignal.timeout(INTERVAL),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const parts = page.querySelectorAll("[data-live]");
    for (const [number, part] of document.querySelectorAll("[data-live]").entries())
      part.replaceWith(parts[number]);
    renewed = new Date();
    silence.textContent = "";
  } catch {
    silence.textContent = `The service does not answer. This is what it said at ${renewed.toLocaleTimeString()}.`;
  }
}

setInterval(renew, INTERVAL);
document.addEventListener("visibilitychange", renew);
