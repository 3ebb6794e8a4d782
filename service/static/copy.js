// Copies texts.

const COPIED_FOR = 3000; // milliseconds for which the message is shown
let timer;

/**
 * Copy a text, and say so in an element, whose `data-copied` has the words. Where that is not allowed,
 * call `showField` so that the viewer can do it.
 */
export async function copyText(text, status, showField) {
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = "";
    status.textContent = status.dataset.copied;
    clearTimeout(timer);
    timer = setTimeout(() => (status.textContent = ""), COPIED_FOR);
  } catch {
    showField();
  }
}

/** Copy what is in a field, or else select it. */
export function copyField(field, status) {
  return copyText(field.value, status, () => {
    field.focus();
    field.select();
  });
}
