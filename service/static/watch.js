// What browsers lack when media fails: the source is loaded again at the same second, once by
// itself and then whenever the viewer asks. Without this file the page works all the same.

const player = document.querySelector("[data-player]");
const alarm = document.querySelector(".alarm");

let position = 0; // load() forgets the position, and a failed source has none
let playing = false;
let resume = false;
let automatic = true;

function say(message, retry) {
  alarm.replaceChildren(document.createElement("p"));
  alarm.firstChild.textContent = message;
  if (retry) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.textContent = alarm.dataset.retry;
    button.addEventListener("click", reload);
    alarm.append(button);
  }
}

function reload() {
  const hadFocus = alarm.contains(document.activeElement);
  say(alarm.dataset.reloading, false);
  const source = player.querySelector("source");
  const address = new URL(source.src);
  // A page names a revision; if that one has been replaced (410) only the unpinned URL has bytes.
  address.searchParams.delete("v");
  source.src = address;
  resume = playing;
  player.load();
  if (hadFocus) player.focus();
}

player.addEventListener("loadedmetadata", () => {
  alarm.replaceChildren();
  if (position > 0) player.currentTime = position;
  if (resume) player.play().catch(() => {}); // refused without a gesture: the controls are there
  resume = false;
});
for (const type of ["timeupdate", "seeking"]) {
  player.addEventListener(type, () => {
    if (!player.error && player.readyState > 0) position = player.currentTime;
  });
}
player.addEventListener("play", () => (playing = true));
player.addEventListener("pause", () => {
  if (!player.error && player.readyState > 0) playing = false;
});

// A media element's own error does not bubble, and that of a <source> goes to the source: both
// are seen while captured. A track that fails leaves the picture alone.
function failed(event) {
  if (event && event.target.localName === "track") return;
  if (automatic) {
    automatic = false;
    reload();
  } else {
    say(alarm.dataset.failed, true);
  }
}
player.addEventListener("error", failed, true);
// The source may have failed before this module ran.
if (player.error || player.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) failed();
