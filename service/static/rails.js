// Adds buttons to rails that are longer than the screen: they scroll by what is seen at a time.

const template = document.querySelector("[data-rail-buttons]");

export function startRails(element) {
  if (!template) return;
  for (const rail of element.querySelectorAll(".rail")) {
    const head = rail.closest("section").querySelector(".section-head");
    if (!head.querySelector(".rail-buttons")) addButtons(rail, head);
  }
}

function addButtons(rail, head) {
  const group = template.content.firstElementChild.cloneNode(true);
  const title = head.querySelector("h2").textContent.trim();
  const [back, on] = group.querySelectorAll("button");
  for (const [button, sign] of [
    [back, -1],
    [on, 1],
  ]) {
    const label = button.getAttribute("aria-label").replace("{title}", () => title);
    button.setAttribute("aria-label", label);
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") === "true") return;
      const direction = getComputedStyle(rail).direction === "rtl" ? -sign : sign;
      rail.scrollBy({ left: direction * 0.9 * rail.clientWidth });
    });
  }
  const update = () => {
    const [at, end] = [Math.abs(rail.scrollLeft), rail.scrollWidth - rail.clientWidth];
    group.hidden = end < 2;
    // Disabled buttons would lose the focus.
    back.setAttribute("aria-disabled", String(at < 2));
    on.setAttribute("aria-disabled", String(at > end - 2));
  };
  rail.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(rail);
  new MutationObserver(update).observe(rail, { childList: true });
  head.append(group);
  update();
}
