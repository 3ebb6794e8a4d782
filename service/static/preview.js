// A frame of the filmstrip, shown larger above it.

export class Preview {
  #element;
  #filmstrip;

  constructor(filmstrip) {
    this.#filmstrip = filmstrip;
    this.#element = filmstrip.querySelector(".preview");
  }

  get shown() {
    return !this.#element.hidden;
  }

  hide() {
    this.#element.hidden = true;
  }

  /** `frame` is a link of the filmstrip. */
  show(frame) {
    const element = this.#element;
    const [svg, original] = [element.querySelector("svg"), frame.querySelector("svg")];
    const sheet = original.querySelector("use").getAttribute("href");
    svg.setAttribute("viewBox", original.getAttribute("viewBox"));
    svg.querySelector("use").setAttribute("href", sheet);
    element.querySelector("span").textContent = frame.textContent.trim();
    element.hidden = false;
    const [outer, inner] = [this.#filmstrip, frame].map((box) => box.getBoundingClientRect());
    const left = inner.left + inner.width / 2 - outer.left - element.offsetWidth / 2;
    const max = outer.width - element.offsetWidth;
    element.style.left = `${Math.max(0, Math.min(left, max))}px`;
  }
}
