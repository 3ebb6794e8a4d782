// The status line of the library page: it is read out, and shown where something has failed.

const status = document.querySelector("[data-status]");

export function announce(message) {
  setStatus(message, false);
}

export function announceForgotten() {
  setStatus(status.dataset.forgotten, false);
}

export function showFailed() {
  setStatus(status.dataset.failed, true);
}

function setStatus(message, shown) {
  status.textContent = message.trim().replace(/\s+/g, " ");
  status.classList.toggle("unseen", !shown);
}
